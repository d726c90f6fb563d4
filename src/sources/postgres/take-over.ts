import type { ContainerTarget } from '../../core/target.ts';
import { waitForAll } from '../../core/wait-for-all.ts';
import { killRun } from '../../docker/kill.ts';
import type { SourceOptions } from '../engine.ts';
import { dropLeftBeside } from './beside.ts';
import { runPrefix } from '../runs.ts';
import { applicationPrefix, connect, type Connection } from './connection.ts';
import { listDatabases, readServer } from './databases.ts';
import type { Surroundings } from './dump.ts';
import { askServer, connectWhenReady } from './readiness.ts';
import { runSql } from './session.ts';
import { quoteLiteral } from './sql.ts';
import { readTools } from './tools.ts';

/** A run that has the server to itself, as far as this `/backups` goes. */
export interface TakenOver {
  readonly connection: Connection;
  readonly surroundings: Surroundings;
}

/**
 * Ends what dead processes of this `/backups` left, and connects as soon as there is a server to connect to. The caller holds
 * the source's lock.
 * @param runs the mark of this run, and one for what only looks
 */
export async function takeOver(
  { docker, job, runPrefix: prefix }: SourceOptions,
  at: Pick<ContainerTarget, 'containerId' | 'container'>,
  runs: { readonly own: string; readonly look: string },
  signal: AbortSignal,
): Promise<TakenOver> {
  const { user, passwordFile } = job;
  const connection = await connectWhenReady(
    {
      async connect() {
        const [, tools] = await waitForAll([
          killRun(docker, at, { prefix }, signal),
          readTools(docker, { ...at, run: runs.look }, signal),
        ]);
        return connect(docker, at, { user, passwordFile, run: runs.own, tools }, signal);
      },
      ask: async (isExpected) => askServer(docker, { ...at, run: runs.own, isExpected }, signal),
    },
    signal,
  );
  // Each is a process of its own in the target: one after the other they would take longer than a small dump.
  const [, server, rows] = await waitForAll([
    endSessions(connection, signal),
    readServer(connection, 'dump-failed', signal),
    listDatabases(connection, 'dump-failed', signal),
  ]);
  await dropLeftBeside(connection, rows, signal);
  return { connection, surroundings: { server, rows } };
}

/** Ends all sessions of this source but those of the run itself. */
async function endSessions(connection: Connection, signal: AbortSignal): Promise<void> {
  const sql = `select pg_terminate_backend(pid) from pg_stat_activity
    where starts_with(application_name, ${quoteLiteral(applicationPrefix(runPrefix(connection.run)))})
      and application_name <> ${quoteLiteral(connection.applicationName)}`;
  await runSql(
    connection,
    { database: connection.maintenanceDatabase, sql, code: 'dump-failed' },
    signal,
  );
}
