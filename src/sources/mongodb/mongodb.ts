import { BackupdError } from '../../core/errors.ts';
import type { Source, StreamReader } from '../../core/source.ts';
import { asContainer, type TargetRef } from '../../core/target.ts';
import { killRun } from '../../docker/kill.ts';
import { chooseDatabases, refuseNone } from '../choose-databases.ts';
import type { EngineModule, SourceOptions } from '../engine.ts';
import { lookRun, newRun } from '../runs.ts';
import { bsonReader } from './accounts.ts';
import { archiveReader } from './archive-reader.ts';
import { withClient } from './client.ts';
import { connect, type Connection } from './connection.ts';
import { listDatabases, readServer } from './databases.ts';
import { openDump } from './dump.ts';
import { clearUp } from './beside.ts';
import { MONGODB_SCRATCH } from './scratch.ts';
import { mongodbRestorer } from './restorer.ts';

/** A MongoDB server in a container. */
function mongodb(options: SourceOptions): Source {
  const { docker, job, runPrefix } = options;
  const choice = { databases: job.databases, exclude: job.exclude };

  async function connectTo(at: TargetRef, run: string, signal: AbortSignal): Promise<Connection> {
    const { user, passwordFile } = job;
    return connect(docker, asContainer(at), { user, passwordFile, run }, signal);
  }

  /** Ends what dead processes of this `/backups` left, which would go on, and connects. */
  async function takeOver(at: TargetRef, run: string, signal: AbortSignal): Promise<Connection> {
    await killRun(docker, asContainer(at), { prefix: runPrefix }, signal);
    return connectTo(at, run, signal);
  }

  return {
    name: job.source,
    engine: 'mongodb',
    locate: options.locate,
    refind: options.refind,

    async probe(at, signal) {
      const connection = await connectTo(at, lookRun(runPrefix), signal);
      return withClient(connection, 'dump-failed', signal, async (client) => {
        const { version } = await readServer(client);
        const rows = await listDatabases(client);
        refuseNone(chooseDatabases(rows, choice, connection.container), connection.container);
        return { toolVersion: connection.toolVersion, serverVersion: version };
      });
    },

    async sweep(at, signal) {
      const connection = await takeOver(at, newRun(runPrefix), signal);
      await withClient(connection, 'dump-failed', signal, async (client) =>
        clearUp(client, runPrefix),
      );
    },

    async open(at, plan, signal) {
      const connection = await takeOver(at, plan.run, signal);
      return withClient(connection, 'dump-failed', signal, async (client) => {
        await clearUp(client, runPrefix);
        return openDump(connection, client, { ...plan, choice }, signal);
      });
    },

    reader: mongodbReader,

    restorer: mongodbRestorer(
      { source: job.source, owner: runPrefix },
      {
        takeOver: async (at, signal) => takeOver(at, newRun(runPrefix), signal),
        work: async (at, signal) => connectTo(at, newRun(runPrefix), signal),
        look: async (at, signal) => connectTo(at, lookRun(runPrefix), signal),
      },
    ),
  };
}

function mongodbReader(format: string): StreamReader {
  if (format === 'mongodump-archive') {
    return archiveReader();
  }
  if (format === 'bson') {
    return bsonReader();
  }
  throw new BackupdError('format-unsupported', `no reader for the format "${format}" of MongoDB`, {
    hint: 'Use the backupd version that wrote it, or a newer one.',
  });
}

/** MongoDB, and what speaks its protocol and has its tools in the container. */
export const MONGODB: EngineModule = {
  source: mongodb,
  reader: mongodbReader,
  scratch: MONGODB_SCRATCH,
};
