import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { BackupdError, type FailureCode } from '../../core/errors.ts';
import { runExec, startExec, type ExecProcess } from '../../docker/exec.ts';
import { lastLine, psqlRequest, type Connection } from './connection.ts';

/** A psql that stays, for what must hold a transaction open. Statements run one after the other. */
export interface Session extends AsyncDisposable {
  /**
   * Runs statements and resolves with the lines they print.
   * @throws SqlError where the last of them failed; the session lives on unless the server ended it.
   */
  run(sql: string): Promise<readonly string[]>;
}

/** What the server answered to a statement that it refused. */
export class SqlError extends Error {
  override readonly name = 'SqlError';
  readonly sqlState: string;

  constructor(sqlState: string, message: string) {
    super(message);
    this.sqlState = sqlState;
  }
}

/** Opens a session in this database. Errors do not end it; disposing it does, and with it its transaction. */
export async function openSession(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): Promise<Session> {
  const request = psqlRequest(connection, database, ['-v', 'ON_ERROR_STOP=0', '-f', '-']);
  const process = await startExec(connection.docker, { ...request, stdin: 'pipe' }, signal);
  const lines = createInterface({ input: process.stdout, crlfDelay: Infinity })[
    Symbol.asyncIterator
  ]();
  let queue: Promise<unknown> = Promise.resolve();

  async function exchange(sql: string): Promise<readonly string[]> {
    const token = `backupd-${randomBytes(8).toString('hex')}`;
    write(
      process,
      `${sql}\n;\n\\echo ${token} :ERROR :SQLSTATE :LAST_ERROR_MESSAGE\n\\echo ${token}-end\n`,
    );
    const output: string[] = [];
    let state: string | null = null;
    for (let next = await lines.next(); ; next = await lines.next()) {
      if (next.done === true) {
        throw await ended(connection, process);
      }
      if (next.value === `${token}-end`) {
        break;
      }
      if (next.value.startsWith(`${token} `)) {
        state = next.value.slice(token.length + 1);
      } else if (state === null) {
        output.push(next.value);
      }
    }
    const [failed, sqlState, ...message] = (state ?? '').split(' ');
    if (failed === 'true') {
      throw new SqlError(sqlState ?? '', message.join(' '));
    }
    return output.filter((line) => line !== '');
  }

  return {
    run(sql) {
      const result = queue.then(async () => exchange(sql));
      queue = result.catch(() => null);
      return result;
    },
    async [Symbol.asyncDispose]() {
      process.stdin?.end('\\q\n');
      process.stdout.resume();
      // How it ended does not matter any more: what it held is gone either way.
      await process.exited.catch(() => null);
    },
  };
}

function write(process: ExecProcess, text: string): void {
  if (process.stdin !== null && process.stdin.writable) {
    process.stdin.write(text);
  }
}

async function ended(connection: Connection, process: ExecProcess): Promise<BackupdError> {
  await process.exited.catch(() => null);
  return new BackupdError(
    'dump-failed',
    `the session with PostgreSQL in "${connection.container}" ended: ${lastLine(process.stderr.text())}`,
    {
      hint: 'The server was stopped or restarted, or somebody ended the session. The next run tries again.',
    },
  );
}

/**
 * Runs a script in one psql and resolves with the lines it prints; stops at the first error.
 * The script travels by standard input, so it may hold what others must not see.
 * @throws BackupdError of the given code, with the server's message.
 */
export async function runSql(
  connection: Connection,
  query: { readonly database: string; readonly sql: string; readonly code: FailureCode },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const request = {
    ...psqlRequest(connection, query.database, ['-f', '-']),
    input: query.sql,
    maxBytes: 256 * 1024 * 1024,
  };
  const result = await runExec(connection.docker, request, signal);
  if (result.exitCode !== 0) {
    throw new BackupdError(
      query.code,
      `PostgreSQL in "${connection.container}" refused: ${firstError(result.stderr)}`,
    );
  }
  return result.stdout.split('\n').filter((line) => line !== '');
}

/** Rows of a query whose only column is JSON. The caller says what they are. */
export async function queryJson<Row>(
  connection: Connection,
  query: { readonly database: string; readonly sql: string; readonly code: FailureCode },
  signal: AbortSignal,
): Promise<readonly Row[]> {
  const lines = await runSql(connection, query, signal);
  return lines.map((line) => JSON.parse(line) as Row);
}

/** psql prefixes errors with the script's name and line; what the server said is behind it. */
export function firstError(stderr: string): string {
  const line = stderr.split('\n').find((text) => /ERROR:|FATAL:|error:/.test(text));
  return (line ?? lastLine(stderr)).replace(/^psql:[^:]*:\d+: /, '').trim();
}
