import { BackupdError } from '../../core/errors.ts';
import type { Source, StreamReader } from '../../core/source.ts';
import { asContainer, type TargetRef } from '../../core/target.ts';
import type { EngineModule, SourceOptions } from '../engine.ts';
import { lookRun, newRun } from '../runs.ts';
import { sqlReader } from '../sql-text.ts';
import { postgresArchiveReader } from './archive.ts';
import { connect, type Connection } from './connection.ts';
import { listDatabases, readServer } from './databases.ts';
import { databasesToDump, openDump } from './dump.ts';
import { askServer } from './readiness.ts';
import { postgresRestorer } from './restorer.ts';
import { POSTGRES_SCRATCH } from './scratch.ts';
import { takeOver } from './take-over.ts';
import { readTools } from './tools.ts';

/** A PostgreSQL server in a container. */
function postgres(options: SourceOptions): Source {
  const { docker, job } = options;

  async function connectTo(
    target: TargetRef,
    run: string,
    signal: AbortSignal,
  ): Promise<Connection> {
    const at = asContainer(target);
    const tools = await readTools(docker, { ...at, run }, signal);
    const { user, passwordFile } = job;
    return connect(docker, at, { user, passwordFile, run, tools }, signal);
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
      return { toolVersion: connection.tools.version, serverVersion: version };
    },

    async sweep(at, signal) {
      const runs = { own: newRun(options.runPrefix), look: lookRun(options.runPrefix) };
      await takeOver(options, asContainer(at), runs, signal);
    },

    async open(at, plan, signal) {
      const { connection, surroundings } = await takeOver(
        options,
        asContainer(at),
        { own: plan.run, look: lookRun(options.runPrefix) },
        signal,
      );
      const choice = { databases: job.databases, exclude: job.exclude };
      return openDump(connection, surroundings, { ...plan, choice }, signal);
    },

    reader: postgresReader,

    restorer: postgresRestorer(job.source, {
      work: async (at, signal) => connectTo(at, newRun(options.runPrefix), signal),
      look: async (at, signal) => connectTo(at, lookRun(options.runPrefix), signal),
      ask: async (at, isExpected, signal) =>
        askServer(
          docker,
          { ...asContainer(at), run: lookRun(options.runPrefix), isExpected },
          signal,
        ),
    }),
  };
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
export const POSTGRES: EngineModule = {
  source: postgres,
  reader: postgresReader,
  scratch: POSTGRES_SCRATCH,
};
