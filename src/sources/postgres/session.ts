import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { BackupdError, toError, type FailureCode } from '../../core/errors.ts';
import { startExec, type ExecProcess } from '../../docker/exec.ts';
import { runExec } from '../../docker/run-exec.ts';
import { saidBy, psqlRequest, type Connection } from './connection.ts';

/** A psql that stays, for what must hold a transaction open. Statements run one after the other. */
export interface Session extends AsyncDisposable {
  /**
   * Runs statements and resolves with the lines they print. Only how the last one ended is looked at.
   * @throws BackupdError `dump-failed` where the last of them failed; the session lives on unless the server ended it.
   */
  run(sql: string): Promise<readonly string[]>;
}

/** Opens a session in this database. Errors do not end it; disposing it does, and with it its transaction. */
export async function openSession(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): Promise<Session> {
  const request = psqlRequest(connection, database, ['-v', 'ON_ERROR_STOP=0', '-f', '-']);
  const ending = new AbortController();
  const process = await startExec(
    connection.docker,
    { ...request, stdin: 'pipe' },
    AbortSignal.any([signal, ending.signal]),
  );
  const lines = createInterface({ input: process.stdout, crlfDelay: Infinity })[
    Symbol.asyncIterator
  ]();
  let queue: Promise<unknown> = Promise.resolve();
  let waiting = 0;

  return {
    run(sql) {
      waiting += 1;
      const result = queue.then(async () => exchange({ connection, process, lines }, sql));
      queue = result
        .catch(() => null)
        .finally(() => {
          waiting -= 1;
        });
      return result;
    },
    async [Symbol.asyncDispose]() {
      if (waiting > 0) {
        // It would read its end only after the statement that it works on.
        ending.abort(new BackupdError('cancelled', 'the session was ended'));
      }
      process.stdin?.end('\\q\n');
      process.stdout.resume();
      // How it ended does not matter any more: what it held is gone either way.
      await process.exited.catch(() => null);
    },
  };
}

interface Exchange {
  readonly connection: Connection;
  readonly process: ExecProcess;
  readonly lines: AsyncIterator<string>;
}

/** Sends statements and reads what they print, up to a token that nothing else can print. */
async function exchange(
  { connection, process, lines }: Exchange,
  sql: string,
): Promise<readonly string[]> {
  const token = `backupd-${randomBytes(8).toString('hex')}`;
  write(
    process,
    // One end for the last statement: an empty one behind it would report that all is well (measured).
    `${sql.replace(/[;\s]+$/, '')}\n;\n\\echo ${token} :ERROR :SQLSTATE :LAST_ERROR_MESSAGE\n\\echo ${token}-end\n`,
  );
  const output: string[] = [];
  let state: string | null = null;
  for (;;) {
    const line = await nextLine(lines);
    if (line === null) {
      throw await ended(connection, process);
    }
    if (line === `${token}-end`) {
      break;
    }
    if (line.startsWith(`${token} `)) {
      state = line.slice(token.length + 1);
    } else if (state === null) {
      output.push(line);
    }
  }
  const [failed, , ...message] = (state ?? '').split(' ');
  if (failed === 'true') {
    throw new BackupdError(
      'dump-failed',
      `PostgreSQL in "${connection.container}" refused: ${message.join(' ')}`,
    );
  }
  return output.filter((line) => line !== '');
}

/** Null at the end, and where the stream broke off: `exited` tells why. */
async function nextLine(lines: AsyncIterator<string>): Promise<string | null> {
  const next = await lines.next().catch(() => null);
  return next === null || next.done === true ? null : next.value;
}

function write(process: ExecProcess, text: string): void {
  if (process.stdin !== null && process.stdin.writable) {
    process.stdin.write(text);
  }
}

/** What ended it, where that was we; else that it ended, and why: that Docker is away is a failure of the session. */
async function ended(connection: Connection, process: ExecProcess): Promise<Error> {
  const [exit] = await Promise.allSettled([process.exited]);
  if (exit.status === 'rejected' && !isAway(exit.reason)) {
    return toError(exit.reason);
  }
  const reason =
    exit.status === 'fulfilled'
      ? saidBy(exit.value, process.stderr.text())
      : toError(exit.reason).message;
  return new BackupdError(
    'dump-failed',
    `the session with PostgreSQL in "${connection.container}" ended: ${reason}`,
    {
      cause: exit.status === 'rejected' ? exit.reason : undefined,
      hint: 'The server was stopped or restarted, or somebody ended the session. The next run tries again.',
    },
  );
}

function isAway(error: unknown): boolean {
  return error instanceof BackupdError && error.code === 'target-unavailable';
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
      `PostgreSQL in "${connection.container}" refused: ${saidBy(result, result.stderr)}`,
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
