import { setTimeout as delay } from 'node:timers/promises';
import { BackupdError } from '../../core/errors.ts';
import { runExec } from '../../docker/run-exec.ts';
import type { Connection } from './connection.ts';
import { runSql } from './session.ts';

const LOOK_MS = 1000;
/** Between its two servers the image has none. */
const LONGEST_PAUSE_MS = 60_000;

/**
 * Connects once the server is the one that stays. The official image fills a new database with a server of its own that
 * only the socket reaches: it answers, and a backup of it would hold half of what is being loaded.
 * @param connect tries to connect now
 */
export async function connectWhenReady(
  connect: () => Promise<Connection>,
  signal: AbortSignal,
): Promise<Connection> {
  let pausedSince: number | null = null;
  for (let hasWaited = false; ; hasWaited = true) {
    try {
      const connection = await connect();
      if (!(await isInitialising(connection, signal))) {
        return connection;
      }
      pausedSince = null;
    } catch (error) {
      // The first refusal is the answer; after the first server there is a moment without any.
      pausedSince ??= performance.now();
      if (!hasWaited || performance.now() - pausedSince > LONGEST_PAUSE_MS) {
        throw error;
      }
    }
    await pause(signal);
  }
}

/** Its entrypoint is the first process then, and tells the server not to listen; a server that stays replaces it. */
async function isInitialising(connection: Connection, signal: AbortSignal): Promise<boolean> {
  const { docker, containerId, container, run } = connection;
  const first = await runExec(
    docker,
    { containerId, container, run, argv: ['cat', '/proc/1/comm'] },
    signal,
  );
  if (first.stdout.trim() === 'postgres') {
    return false;
  }
  const sql = `select 1 from pg_settings
    where name = 'listen_addresses' and setting = '' and source = 'command line'`;
  const rows = await runSql(
    connection,
    { database: connection.maintenanceDatabase, sql, code: 'dump-failed' },
    signal,
  );
  return rows.length > 0;
}

async function pause(signal: AbortSignal): Promise<void> {
  try {
    await delay(LOOK_MS, undefined, { signal });
  } catch (error) {
    throw new BackupdError(
      'target-unavailable',
      'the server is still being filled for the first time',
      {
        cause: error,
        hint: 'It listens on no address, as while the image runs its init scripts. Wait until it is done.',
      },
    );
  }
}
