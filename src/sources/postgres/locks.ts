import { setTimeout as delay } from 'node:timers/promises';
import { runSql } from './session.ts';
import type { Connection } from './connection.ts';
import { quoteLiteral } from './sql.ts';

/** Looks at what pg_dump waits for, until it has its locks. */
export interface LockWatch extends AsyncDisposable {
  /** Takes pg_dump's verbose output. */
  onLine(line: string): void;
  /** Told that the dump itself has begun: pg_dump writes nothing of it before it has its locks. */
  onDump(): void;
  /** Resolves once pg_dump has locked every table. */
  readonly locked: Promise<void>;
  /** What it was seen waiting for last, and who holds it; null when it does not wait. */
  blocker(): string | null;
}

/** How long pg_dump may wait before we ask who is in the way. */
const PATIENCE_MS = 3000;

/** The first thing pg_dump says after it read and locked all there is (dumpEncoding in pg_dump.c, every version since 9.0). */
const LOCKED_LINE = /saving encoding = /;

/** Begins to watch for locks in the way of the dump of one database, until that is aborted. */
export function watchLocks(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): LockWatch {
  const ending = new AbortController();
  const watched = AbortSignal.any([signal, ending.signal]);
  const { promise: locked, resolve } = Promise.withResolvers<void>();
  let found: string | null = null;

  async function watch(): Promise<void> {
    while (!watched.aborted) {
      await delay(PATIENCE_MS, undefined, { signal: watched });
      const seen = await findBlocker(connection, database, watched);
      // A pg_dump that was ended since waits for nothing: what it waited for before is the reason.
      if (!watched.aborted) {
        found = seen;
      }
    }
  }
  // What cannot be found out is no reason to fail: the dump's own outcome tells.
  const watching = watch().catch(() => null);

  function end(): void {
    found = null;
    ending.abort();
    resolve();
  }

  return {
    onLine(line) {
      if (LOCKED_LINE.test(line)) {
        end();
      }
    },
    onDump: end,
    locked,
    blocker: () => found,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await watching;
    },
  };
}

async function findBlocker(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): Promise<string | null> {
  const sql = `
select json_build_object('object', l.relation::regclass::text, 'blockers', (
    select string_agg(coalesce(
      (select format('session %s (%s, user %s, %s, since %s)', b.pid, coalesce(nullif(b.application_name, ''), 'no name'), b.usename, b.state,
        to_char(coalesce(b.xact_start, b.backend_start) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
       from pg_stat_activity b where b.pid = blocker),
      (select format('prepared transaction %s', string_agg(p.gid, ', ')) from pg_prepared_xacts p where p.database = current_database()),
      'an unknown session'), '; ')
    from unnest(pg_blocking_pids(l.pid)) blocker))::text
from pg_locks l join pg_stat_activity a on a.pid = l.pid
where not l.granted and l.locktype = 'relation' and a.application_name = ${quoteLiteral(connection.applicationName)}
limit 1`;
  const [row] = await runSql(connection, { database, sql, code: 'dump-failed' }, signal);
  if (row === undefined) {
    return null;
  }
  const { object, blockers } = JSON.parse(row) as { object: string; blockers: string | null };
  return `a lock on ${object}, held by ${blockers ?? 'an unknown session'}`;
}
