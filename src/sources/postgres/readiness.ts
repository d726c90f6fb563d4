import type Docker from 'dockerode';
import { setTimeout as delay } from 'node:timers/promises';
import { BackupdError } from '../../core/errors.ts';
import { inspectContainer } from '../../docker/containers.ts';
import type { ExecRequest } from '../../docker/exec.ts';
import { runExec } from '../../docker/run-exec.ts';
import type { Connection } from './connection.ts';
import { runSql } from './session.ts';

const LOOK_MS = 1000;
/** What pg_isready exits with. */
const ACCEPTS = 0;
const REJECTS = 1;
const SILENT = 2;
/** Between its two servers the image has none; and as long after its start a container may have none yet. */
const LONGEST_PAUSE_MS = 60_000;

/** How a server is tried. */
export interface Attempts {
  /** Tries to connect now. */
  readonly connect: () => Promise<Connection>;
  /** Whether a server answers where one is expected to come: while a container is new, or `isExpected` anyway. */
  readonly ask: (isExpected: boolean) => Promise<Presence>;
}

/** `unexpected`: nobody need wait for one, whether it answers or not. */
export type Presence = 'away' | 'answers' | 'unexpected';

/**
 * Connects once the server is the one that stays. The official image fills a new database with a server of its own that
 * only the socket reaches: it answers, and a backup of it would hold half of what is being loaded.
 */
export async function connectWhenReady(
  { connect, ask }: Attempts,
  signal: AbortSignal,
): Promise<Connection> {
  let pausedSince: number | null = null;
  let hasAnswered = false;
  for (let hasWaited = false; ; hasWaited = true) {
    try {
      const connection = await connect();
      if (!(await isInitialising(connection, signal))) {
        return connection;
      }
      pausedSince = null;
    } catch (error) {
      // What a server says that answers is the answer. None answers while it starts, and for a moment after the first one.
      pausedSince ??= performance.now();
      // Where even that cannot be asked, the refusal says more.
      const presence = await ask(hasWaited).catch((): Presence => 'unexpected');
      if (presence === 'answers' && !hasAnswered) {
        // It may have come, or taken over from the first one, between that refusal and this: then that one was not its own.
        hasAnswered = true;
        continue;
      }
      if (presence !== 'away' || performance.now() - pausedSince > LONGEST_PAUSE_MS) {
        throw error;
      }
      hasAnswered = false;
    }
    await pause(signal);
  }
}

/** {@link Attempts.ask}, told by exit code, whatever the language. */
export async function askServer(
  docker: Docker,
  at: Pick<ExecRequest, 'containerId' | 'container' | 'run'> & { readonly isExpected: boolean },
  signal: AbortSignal,
): Promise<Presence> {
  const { startedAt, state } = await inspectContainer(docker, at.containerId, signal);
  const isNew = startedAt !== null && Date.now() - startedAt.getTime() < LONGEST_PAUSE_MS;
  if (state !== 'running' || !(isNew || at.isExpected)) {
    return 'unexpected';
  }
  const { containerId, container, run } = at;
  const asked = await runExec(
    docker,
    { containerId, container, run, argv: ['pg_isready', '-q'] },
    signal,
  );
  if (asked.exitCode === REJECTS || asked.exitCode === SILENT) {
    return 'away';
  }
  return asked.exitCode === ACCEPTS ? 'answers' : 'unexpected';
}

/** Its entrypoint is the first process then, and tells the server not to listen; a server that stays replaces it. */
async function isInitialising(connection: Connection, signal: AbortSignal): Promise<boolean> {
  if (connection.tools.firstProcess === 'postgres') {
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
      'the server is still starting, or being filled for the first time',
      {
        cause: error,
        hint: 'It does not answer yet, or listens on no address, as while the image runs its init scripts. Wait until it is done.',
      },
    );
  }
}
