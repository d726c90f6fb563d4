import { BackupdError } from '../../core/errors.ts';
import type { Source, StreamReader } from '../../core/source.ts';
import { asContainer, type TargetRef } from '../../core/target.ts';
import { killRun } from '../../docker/kill.ts';
import { chooseDatabases, refuseNone } from '../choose-databases.ts';
import type { EngineModule, SourceOptions } from '../engine.ts';
import { lookRun, newRun } from '../runs.ts';
import { sqlReader } from '../sql-text.ts';
import { dropLeftBeside } from './beside.ts';
import { connect, type Connection } from './connection.ts';
import { listDatabases, ownDatabases } from './databases.ts';
import { openDump } from './dump.ts';
import { dumpReader } from './dump-reader.ts';
import { MARIADB_SCRATCH, MYSQL_SCRATCH } from './scratch.ts';
import { mysqlRestorer } from './restorer.ts';

/** A MySQL or MariaDB server in a container; which of them it is, it says itself. */
function mysqlSource(engine: 'mysql' | 'mariadb', options: SourceOptions): Source {
  const { docker, job, runPrefix } = options;
  const choice = { databases: job.databases, exclude: job.exclude };

  async function connectTo(at: TargetRef, run: string, signal: AbortSignal): Promise<Connection> {
    const { user, passwordFile } = job;
    return connect(docker, asContainer(at), { user, passwordFile, run }, signal);
  }

  /** Ends what dead processes of this `/backups` left, and connects. */
  async function takeOver(at: TargetRef, run: string, signal: AbortSignal): Promise<Connection> {
    await killRun(docker, asContainer(at), { prefix: runPrefix }, signal);
    const connection = await connectTo(at, run, signal);
    const rows = await listDatabases(connection, 'dump-failed', signal);
    await dropLeftBeside(connection, rows, signal);
    return connection;
  }

  return {
    name: job.source,
    engine,
    locate: options.locate,
    refind: options.refind,

    async probe(at, signal) {
      const connection = await connectTo(at, lookRun(runPrefix), signal);
      const rows = await listDatabases(connection, 'dump-failed', signal);
      const { container, toolVersion, serverVersion } = connection;
      refuseNone(chooseDatabases(ownDatabases(rows), choice, container), container);
      return { toolVersion, serverVersion };
    },

    async sweep(at, signal) {
      await takeOver(at, newRun(runPrefix), signal);
    },

    async open(at, plan, signal) {
      return openDump(await takeOver(at, plan.run, signal), choice, plan, signal);
    },

    reader: mysqlReader,

    restorer: mysqlRestorer(
      { source: job.source, engine },
      {
        work: async (at, signal) => connectTo(at, newRun(runPrefix), signal),
        look: async (at, signal) => connectTo(at, lookRun(runPrefix), signal),
      },
    ),
  };
}

function mysqlReader(format: string): StreamReader {
  if (format === 'mysql-dump') {
    return dumpReader();
  }
  if (format === 'sql') {
    return sqlReader();
  }
  throw new BackupdError('format-unsupported', `no reader for the format "${format}" of MySQL`, {
    hint: 'Use the backupd version that wrote it, or a newer one.',
  });
}

export const MARIADB: EngineModule = {
  source: (options) => mysqlSource('mariadb', options),
  reader: mysqlReader,
  scratch: MARIADB_SCRATCH,
};

export const MYSQL: EngineModule = {
  source: (options) => mysqlSource('mysql', options),
  reader: mysqlReader,
  scratch: MYSQL_SCRATCH,
};
