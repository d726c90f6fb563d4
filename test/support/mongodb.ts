import { mongosh, type Mongosh } from './mongosh.ts';
import { startContainer, type ContainerOptions, type TestContainer } from './test-container.ts';

export interface Mongodb extends TestContainer {
  readonly user: string;
  readonly password: string;
  /** JavaScript in the vendor's shell, see mongosh.ts. */
  js: Mongosh['run'];
  /** SQL in the PostgreSQL beneath, for what the server itself would refuse. */
  sql(text: string): Promise<string>;
}

/** What a server holds, by name of the database and of the collection. */
export type MongodbFingerprint = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const IMAGE = 'backupd-test/ferretdb-mongosh:2.7';
const USER = 'ro"ot';
const PASSWORD = `te'st "\\ $é`;

/** A server that answers, with the environment of the official image: a user who may do everything. */
export async function startMongodb(options: Partial<ContainerOptions> = {}): Promise<Mongodb> {
  const container = await startContainer({
    image: IMAGE,
    ...options,
    env: {
      MONGO_INITDB_ROOT_USERNAME: USER,
      MONGO_INITDB_ROOT_PASSWORD: PASSWORD,
      ...options.env,
    },
  });
  const shell = mongosh(container.name, { user: USER, password: PASSWORD });
  try {
    await waitUntilReady(container);
  } catch (error) {
    await container[Symbol.asyncDispose]();
    throw error;
  }
  return {
    ...container,
    user: USER,
    password: PASSWORD,
    js: async (script) => shell.run(script),
    async sql(text) {
      const psql = ['/usr/lib/postgresql/18/bin/psql', '-h', '/run/postgresql', '-U', 'postgres'];
      const argv = [...psql, '-XAtq', '-v', 'ON_ERROR_STOP=1'];
      const { exitCode, stdout, stderr } = await container.exec(argv, { input: text });
      if (exitCode !== 0) {
        throw new Error(`psql ended with ${exitCode}: ${stderr}`);
      }
      return stdout.replace(/\n$/, '');
    },
    async [Symbol.asyncDispose]() {
      shell.close();
      await container[Symbol.asyncDispose]();
    },
  };
}

/** @throws Error with the log when it does not come up */
export async function waitUntilReady(container: TestContainer): Promise<void> {
  const loop = 'until exec 3<>/dev/tcp/127.0.0.1/27017; do sleep 0.1; done 2>/dev/null';
  const { exitCode } = await container.exec(['timeout', '90', 'bash', '-c', loop]);
  if (exitCode !== 0) {
    throw new Error(`the server in ${container.name} does not answer: ${await container.logs()}`);
  }
}

/** Documents with their types, options and indexes of every collection; without what restores loaded or kept. */
export async function fingerprintMongodb(
  server: Mongodb,
  { but = [] }: { readonly but?: readonly string[] } = {},
): Promise<MongodbFingerprint> {
  const found = await server.js(`
    const { createHash } = require('crypto');
    const found = {};
    for (const { name } of db.adminCommand({ listDatabases: 1 }).databases) {
      if (['admin', 'config', 'local', '_backupd'].includes(name)) { continue; }
      for (const { name: collection, type, options } of m.getDB(name).getCollectionInfos()) {
        if (/^backupd_(before|new)_/.test(collection) || ${JSON.stringify(but)}.includes(collection)) { continue; }
        const documents = m.getDB(name).getCollection(collection).find().toArray()
          .map((one) => EJSON.stringify(one, { relaxed: false })).sort();
        const indexes = type === 'view' ? [] : m.getDB(name).getCollection(collection).getIndexes()
          .map((one) => EJSON.stringify(one, { relaxed: false })).sort();
        found[name] ??= {};
        found[name][collection] = {
          type, options, indexes, count: documents.length,
          documents: documents.length < 10 ? documents : createHash('sha256').update(documents.join()).digest('hex'),
        };
      }
    }
    return found`);
  return found as MongodbFingerprint;
}

/** Names of all databases but the server's own (and backupd's where it is empty), and of all collections in them that are backupd's. */
export async function listEverything(server: Mongodb): Promise<readonly string[]> {
  const found = await server.js(`
    const found = [];
    for (const { name } of db.adminCommand({ listDatabases: 1 }).databases) {
      if (['admin', 'config', 'local'].includes(name)) { continue; }
      if (name === '_backupd' && m.getDB(name).restores.countDocuments() === 0) { continue; }
      found.push(name);
      for (const collection of m.getDB(name).getCollectionNames()) {
        if (collection.startsWith('backupd_')) { found.push(name + '.' + collection); }
      }
    }
    return found`);
  return (found as string[]).toSorted();
}
