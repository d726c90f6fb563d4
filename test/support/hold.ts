import type { Postgres } from './postgres.ts';
import { RESTORE_MS } from './restore-stage.ts';
import { waitFor } from './wait-for.ts';

/** Waits until a swap waits for a lock that `holdName` holds. */
export async function untilSwapWaits(server: Postgres): Promise<void> {
  const waits = `application_name like 'backupd:%:swap' and wait_event_type = 'Lock'`;
  await waitFor(
    'swap that waits',
    async () => (await countSessions(server, waits)) === 1,
    RESTORE_MS,
  );
}

/** Somebody in the way; releasing it twice does nothing. */
export interface Hold extends AsyncDisposable {
  release(): Promise<void>;
}

/** Keeps a database from being renamed, by a session in another one, which no swap may end. */
export async function holdName(server: Postgres, database: string): Promise<Hold> {
  return hold(server, 'postgres', `comment on database ${database} is 'held'`);
}

/** Keeps a table of `shop` from being read. */
export async function holdTable(server: Postgres, table: string): Promise<Hold> {
  return hold(server, 'shop', `lock table ${table} in access exclusive mode`);
}

async function hold(server: Postgres, database: string, statement: string): Promise<Hold> {
  const holding = server
    .sql(
      `set application_name = 'holder'; begin; ${statement}; select pg_sleep(600); rollback;`,
      database,
    )
    // It is ended by `release`, which psql takes for a failure.
    .catch(() => null);
  await waitFor('lock of the holder', async () => (await countSessions(server, HOLDS)) === 1);

  async function release(): Promise<void> {
    await server.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity where ${HOLDS}`,
      'postgres',
    );
    await holding;
  }
  return { release, [Symbol.asyncDispose]: release };
}

const HOLDS = `application_name = 'holder' and wait_event = 'PgSleep'`;

/** Waits until no session of a swap is left. */
export async function untilNoSwap(server: Postgres): Promise<void> {
  await waitFor(
    'end of the swap',
    async () => (await countSessions(server, `application_name like 'backupd:%:swap'`)) === 0,
  );
}

async function countSessions(server: Postgres, condition: string): Promise<number> {
  return Number(
    await server.sql(`select count(*) from pg_stat_activity where ${condition}`, 'postgres'),
  );
}
