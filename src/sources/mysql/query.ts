import { BackupdError, type FailureCode } from '../../core/errors.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import type { ExecRequest } from '../../docker/exec.ts';
import { runExec } from '../../docker/run-exec.ts';
import type { Connection } from './connection.ts';
import { parseRows } from './rows.ts';
import { quoteName } from './sql.ts';

/** A statement or several, and whose failure it is where the server refuses. */
export interface Query {
  /** With `delimiter` and the like where that is needed. */
  readonly sql: string | Buffer;
  /** The database in use; absent: none in particular. */
  readonly database?: string;
  readonly code: FailureCode;
}

/** What an application's own settings, and what came before, must not change: quoting, limits, and how long anything may take. */
const SETTINGS = `
  set names utf8mb4;
  set session sql_mode = '', group_concat_max_len = 1073741824, time_zone = @@global.time_zone,
    foreign_key_checks = 1, lock_wait_timeout = 60;
  /*!80000 set session max_execution_time = 0 */;
  /*M! set session max_statement_time = 0 */;
`;
const LARGEST_ANSWER_BYTES = 256 * 1024 * 1024;

/** A client that reads a script, stops at its first error, and changes nothing in what it reads. */
export function clientRequest(
  { containerId, container, run, environment, tools, options }: Connection,
  more: readonly string[] = [],
): ExecRequest {
  const argv = [
    tools.client,
    ...options,
    '--batch',
    '--skip-column-names',
    '--binary-mode',
    // MariaDB's client takes them out of what it sends, also of the bodies of routines.
    '--comments',
    '--max-allowed-packet=1G',
    ...more,
  ];
  return { containerId, container, run, argv, env: environment };
}

/**
 * Runs statements in one client and resolves with the rows they give, all columns as text; stops at the first error.
 * They travel by standard input, so they may hold what others must not see.
 * @throws BackupdError of the query's code, with the server's message
 */
export async function query(
  connection: Connection,
  { sql, database, code }: Query,
  signal: AbortSignal,
): Promise<readonly (readonly string[])[]> {
  const use = database === undefined ? '' : `use ${quoteName(database)};\n`;
  const input = Buffer.concat([
    Buffer.from(SETTINGS + use),
    typeof sql === 'string' ? Buffer.from(sql) : sql,
    Buffer.from('\n'),
  ]);
  const { printed, refused } =
    connection.session === null
      ? await runClient(connection, input, signal)
      : await connection.session.ask(input, signal);
  if (refused !== null) {
    throw new BackupdError(code, `the server in "${connection.container}" refused: ${refused}`);
  }
  return parseRows(printed);
}

/** What a client printed, and what it said where it stopped. */
export interface Answer {
  readonly printed: string;
  readonly refused: string | null;
}

async function runClient(
  connection: Connection,
  input: Buffer,
  signal: AbortSignal,
): Promise<Answer> {
  const request = { ...clientRequest(connection), input, maxBytes: LARGEST_ANSWER_BYTES };
  const result = await runExec(connection.docker, request, signal);
  return {
    printed: result.stdout,
    refused: result.exitCode === 0 ? null : reasonOf(result, result.stderr),
  };
}
