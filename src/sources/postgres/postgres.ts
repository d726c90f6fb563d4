import { randomBytes } from 'node:crypto';
import { BackupdError } from '../../core/errors.ts';
import type { Source, StreamReader, TargetRef } from '../../core/source.ts';
import { waitForAll } from '../../core/wait-for-all.ts';
import { killRun } from '../../docker/kill.ts';
import type { EngineDefinition, SourceOptions } from '../engine.ts';
import { sqlReader } from '../sql-text.ts';
import { applicationPrefix, connect, runPrefix, type Connection } from './connection.ts';
import { listDatabases, readServer } from './databases.ts';
import { databasesToDump, openDump } from './dump.ts';
import { dropLeftBeside } from './beside.ts';
import { postgresArchiveReader } from './archive.ts';
import { connectWhenReady, isServerAway } from './readiness.ts';
import { postgresRestorer } from './restorer.ts';
import { runSql } from './session.ts';
import { quoteLiteral } from './sql.ts';

/** A PostgreSQL server in a container. */
function postgres(options: SourceOptions): Source {
  const { docker, job } = options;

  async function connectTo(
    at: Pick<TargetRef, 'containerId'>,
    run: string,
    signal: AbortSignal,
  ): Promise<Connection> {
    return connect(docker, at, { user: job.user, passwordFile: job.passwordFile, run }, signal);
  }

  /** Connects, and ends what dead processes of this `/backups` left. */
  async function connectSwept(
    at: Pick<TargetRef, 'containerId' | 'container'>,
    run: string,
    signal: AbortSignal,
  ): Promise<Connection> {
    await killRun(docker, at, { prefix: options.runPrefix }, signal);
    const connection = await connectWhenReady(
      {
        connect: async () => connectTo(at, run, signal),
        isAway: async (isExpected) => isServerAway(docker, { ...at, run, isExpected }, signal),
      },
      signal,
    );
    await waitForAll([endSessions(connection, signal), dropLeftBeside(connection, signal)]);
    return connection;
  }

  return {
    name: job.source,
    engine: 'postgres',
    locate: options.locate,
    refind: options.refind,

    async probe(at, signal) {
      const connection = await connectTo(at, lookRun(options.runPrefix), signal);
      const { version } = await readServer(connection, 'dump-failed', signal);
      const rows = await listDatabases(connection, 'dump-failed', signal);
      databasesToDump(connection, rows, { databases: job.databases, exclude: job.exclude }, []);
      return { toolVersion: connection.toolVersion, serverVersion: version };
    },

    async sweep(at, signal) {
      await connectSwept(at, newRun(options.runPrefix), signal);
    },

    async open(at, plan, signal) {
      return openDump(
        await connectSwept(at, plan.run, signal),
        { databases: job.databases, exclude: job.exclude },
        plan,
        signal,
      );
    },

    reader: postgresReader,

    restorer: postgresRestorer(job.source, {
      work: async (at, signal) => connectTo(at, newRun(options.runPrefix), signal),
      look: async (at, signal) => connectTo(at, lookRun(options.runPrefix), signal),
      isAway: async (at, isExpected, signal) =>
        isServerAway(docker, { ...at, run: lookRun(options.runPrefix), isExpected }, signal),
    }),
  };
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

function newRun(prefix: string): string {
  return `${prefix}${randomBytes(4).toString('hex')}`;
}

/** For what only looks and holds no lock: a mark that clearing up after the dead does not reach. */
function lookRun(prefix: string): string {
  return `look:${newRun(prefix)}`;
}

function postgresReader(format: string): StreamReader {
  if (format === 'pg-custom') {
    return postgresArchiveReader();
  }
  if (format === 'sql') {
    return sqlReader();
  }
  throw new BackupdError(
    'format-unsupported',
    `no reader for the format "${format}" of PostgreSQL`,
    { hint: 'Use the backupd version that wrote it, or a newer one.' },
  );
}

/** PostgreSQL and what is built on it: `postgis/postgis`, `timescale/timescaledb`. */
export const POSTGRES: EngineDefinition = {
  engine: 'postgres',
  images: /postg(?:res|is)|timescale|pgvector|citus/,
  variables: ['POSTGRES_PASSWORD', 'POSTGRES_PASSWORD_FILE', 'POSTGRES_HOST_AUTH_METHOD', 'PGDATA'],
  tools: ['pg_dump'],
  source: postgres,
  reader: postgresReader,
};
