import type { Readable } from 'node:stream';
import { BackupdError } from '../../core/errors.ts';
import type { DatabaseFacts } from '../../core/facts.ts';
import { encodeName } from '../../core/layout.ts';
import type { DumpPart, DumpPlan } from '../../core/source.ts';
import { compressedArgv } from '../../docker/exec-pipe.ts';
import { startExec, type ExecProcess } from '../../docker/exec.ts';
import { verdictStream } from '../../docker/verdict-stream.ts';
import { saidBy, type Connection } from './connection.ts';
import type { DatabaseRow, ServerRow } from './databases.ts';
import { COUNT_BUDGET_MS, readFacts, rewrittenTables } from './facts.ts';
import { watchLocks, type LockWatch } from './locks.ts';
import { openSession, type Session } from './session.ts';

/** How often a dump begins again because a table was rewritten before pg_dump held its lock. */
const STARTS = 4;

/** What the dumps of one run have in common. */
export interface DumpRun {
  readonly connection: Connection;
  readonly server: ServerRow;
  readonly plan: DumpPlan;
  /** zstd's level in the target; null: backupd compresses. */
  readonly level: number | null;
  readonly signal: AbortSignal;
}

/** A running pg_dump whose locks are held, with its facts being counted beside it. */
export interface RunningDump extends AsyncDisposable {
  readonly part: DumpPart;
  readonly facts: Promise<DatabaseFacts>;
}

/**
 * Starts pg_dump on a snapshot that a session of ours shares, and returns once pg_dump holds its locks. TRUNCATE and
 * rewriting ALTERs between snapshot and lock would be dumped as an empty table with exit code 0: seen here, they make us
 * begin again on a new snapshot; so does a DROP, which fails the dump.
 */
export async function startDump(run: DumpRun, database: DatabaseRow): Promise<RunningDump> {
  for (let start = 1; start <= STARTS; start += 1) {
    const dump = await tryDump(run, database, start);
    if (dump !== null) {
      return dump;
    }
  }
  throw new BackupdError(
    'dump-failed',
    `tables of database "${database.name}" were truncated, rewritten or dropped each of the ${STARTS} times that its dump began`,
    { hint: 'Run the backup at a time when nothing truncates, rewrites or drops tables.' },
  );
}

/** Null where a table was rewritten before pg_dump had its locks; all that was started is ended then. */
async function tryDump(
  run: DumpRun,
  database: DatabaseRow,
  start: number,
): Promise<RunningDump | null> {
  await using stack = new AsyncDisposableStack();
  const ending = new AbortController();
  const own: DumpRun = {
    ...run,
    // A mark of its own: what ends this start must not end the next one.
    connection: { ...run.connection, run: `${run.connection.run}-${database.oid}-${start}` },
    signal: AbortSignal.any([run.signal, ending.signal]),
  };
  // Last of all, when the session has ended by itself: only a dump that goes on is killed.
  stack.defer(() => {
    ending.abort(new BackupdError('cancelled', 'the dump was given up'));
  });
  const holder = stack.use(await holdSnapshot(own, database.name));
  const watch = stack.use(watchLocks(own.connection, database.name, own.signal));
  const process = await startPgDump(own, database.name, holder.snapshot, watch);
  const stream = await lockedStream(process, watch, { run: own, session: holder.session });
  if (stream === null) {
    return null;
  }
  const facts = readFacts(holder.session, { depth: run.plan.facts, budgetMs: COUNT_BUDGET_MS });
  // Looked at by whoever consumed the stream; a dump that fails first must not make this an unhandled rejection.
  facts.catch(() => null);
  const kept = stack.move();
  return {
    part: partOf(run, database.name, stream),
    facts,
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

interface Beginning {
  readonly run: DumpRun;
  readonly session: Session;
}

/** Null where a table was rewritten, or dropped, which fails pg_dump by itself, before all were locked. */
async function lockedStream(
  process: ExecProcess,
  watch: LockWatch,
  { run, session }: Beginning,
): Promise<Readable | null> {
  let stream: Readable;
  try {
    stream = await withLocks(process, watch, run);
  } catch (error) {
    // Where the server is gone it cannot be asked, and the dump's own words say more.
    const rewritten = run.signal.aborted ? [] : await rewrittenTables(session).catch(() => []);
    if (rewritten.length === 0) {
      throw error;
    }
    return null;
  }
  return (await rewrittenTables(session)).length === 0 ? stream : null;
}

function partOf(run: DumpRun, database: string, stream: Readable): DumpPart {
  return {
    stem: `${encodeName(database)}.dump`,
    format: 'pg-custom',
    database,
    encoding: run.level === null ? 'none' : 'zstd',
    stream,
  };
}

async function holdSnapshot(
  run: DumpRun,
  database: string,
): Promise<{ session: Session; snapshot: string } & AsyncDisposable> {
  const session = await openSession(run.connection, database, run.signal);
  await session.run('begin transaction isolation level repeatable read read only');
  const [snapshot] = await session.run('select pg_export_snapshot()');
  return {
    session,
    snapshot: String(snapshot),
    [Symbol.asyncDispose]: async () => session[Symbol.asyncDispose](),
  };
}

async function startPgDump(
  run: DumpRun,
  database: string,
  snapshot: string,
  watch: LockWatch,
): Promise<ExecProcess> {
  const { connection, server, level } = run;
  const argv = [
    connection.tools.paths.pg_dump,
    '-Fc',
    '-Z0',
    '-v',
    `--snapshot=${snapshot}`,
    ...(server.isStandby ? ['--no-unlogged-table-data'] : []),
  ];
  return startExec(
    connection.docker,
    {
      containerId: connection.containerId,
      container: connection.container,
      run: connection.run,
      argv: level === null ? argv : compressedArgv(argv, { level }),
      env: { ...connection.environment, PGDATABASE: database },
      onStderrLine: (line) => {
        watch.onLine(line);
      },
    },
    run.signal,
  );
}

/**
 * Resolves with the dump's stream once pg_dump said that it writes its first entry, or that entry came: all locks are
 * held by then. Docker may pass the dump on before what was said earlier, and as long as nobody reads the one the other
 * does not come: to wait for words alone can be for ever (seen on a machine that was busy).
 * @throws BackupdError `dump-failed`, naming what it waited for where a lock was in the way.
 */
async function withLocks(process: ExecProcess, watch: LockWatch, run: DumpRun): Promise<Readable> {
  const stream = verdictStream(process, {
    tool: 'pg_dump',
    code: 'dump-failed',
    container: run.connection.container,
  });
  const failed = new Promise<never>((_resolve, reject) => {
    stream.once('error', reject);
  });
  function onReadable(): void {
    if (stream.readableLength > 0) {
      watch.onDump();
    }
  }
  stream.on('readable', onReadable);
  try {
    await Promise.race([watch.locked, failed, endedEarly(process, stream)]);
  } catch (error) {
    const blocker = watch.blocker();
    throw blocker === null
      ? error
      : new BackupdError('dump-failed', `pg_dump waited for ${blocker}`, {
          cause: error,
          hint: 'End the session that holds the lock, or run the backup at another time.',
        });
  } finally {
    // With this listener nobody else could let the stream flow.
    stream.off('readable', onReadable);
  }
  return stream;
}

async function endedEarly(process: ExecProcess, stream: Readable): Promise<never> {
  // Null: ended by us, or nobody knows how.
  const exit = await process.exited.catch(() => null);
  if (exit?.exitCode === 0) {
    throw new BackupdError(
      'dump-failed',
      `pg_dump ended without a dump: ${saidBy(exit, process.stderr.text())}`,
    );
  }
  // The stream carries the verdict and its words.
  return new Promise((_resolve, reject) => {
    stream.once('error', reject);
    stream.resume();
  });
}
