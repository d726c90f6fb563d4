import {
  booleanOf,
  documentOf,
  fieldsOf,
  listOf,
  numberOf,
  textOf,
  writeDocument,
  type Bson,
} from './bson.ts';
import { ServerRefusal, type Client } from './client.ts';
import { isOurs, OWN_DATABASE } from './names.ts';

/** A database of a server. */
export interface DatabaseRow {
  readonly name: string;
  /** Without what restores loaded or kept. */
  readonly collections: readonly CollectionRow[];
}

/** A collection, or what looks like one. */
export interface CollectionRow {
  readonly name: string;
  readonly type: string;
  /** What it was made with. */
  readonly options: Bson;
}

/** A server as it says itself. */
export interface ServerInfo {
  /** `8.0.4`; `7.0.77 (FerretDB v2.7.0)`. */
  readonly version: string;
  /** Whether it takes writes: a secondary of a replica set does not. */
  readonly isWritable: boolean;
}

const NOTHING = writeDocument({});
const DATA_FOLDER = '/data/db';
/** Theirs, not the user's; and ours. */
const SYSTEM = ['admin', 'config', 'local', OWN_DATABASE];

export async function readServer(client: Client): Promise<ServerInfo> {
  const build = await client.run('admin', { buildInfo: 1 });
  const hello = await client.run('admin', { hello: 1 });
  const ferretdb = documentOf(build.get('ferretdb'));
  const other = ferretdb === null ? null : textOf(fieldsOf(ferretdb).get('version'));
  const version = textOf(build.get('version')) ?? 'unknown';
  return {
    version: other === null ? version : `${version} (FerretDB ${other})`,
    isWritable: booleanOf(hello.get('isWritablePrimary')) !== false,
  };
}

/** Every database but the server's own that has something in it besides what restores loaded or kept; by name. */
export async function listDatabases(client: Client): Promise<readonly DatabaseRow[]> {
  const reply = await client.run('admin', { listDatabases: 1, nameOnly: true });
  const found: DatabaseRow[] = [];
  for (const entry of listOf(reply.get('databases'))) {
    const name = textOf(fieldsOf(documentOf(entry) ?? NOTHING).get('name')) ?? '';
    const collections = SYSTEM.includes(name) ? [] : await ownCollections(client, name);
    if (collections.length > 0) {
      found.push({ name, collections });
    }
  }
  return found.toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

/** What the collections of a database and their indexes take on the disk, by the server's own account; null where it gives none. */
export async function readSize(
  client: Client,
  { name, collections }: DatabaseRow,
): Promise<number | null> {
  let sizeBytes = 0;
  try {
    for (const collection of collections.filter(({ type }) => type !== 'view')) {
      const stats = await client.run(name, { collStats: collection.name });
      const indexes = numberOf(stats.get('totalIndexSize')) ?? 0;
      sizeBytes += (numberOf(stats.get('storageSize')) ?? 0) + indexes;
    }
    return sizeBytes;
  } catch (error) {
    // Whoever may only read may not know it; and a collection can be dropped meanwhile.
    if (error instanceof ServerRefusal) {
      return null;
    }
    throw error;
  }
}

/** The folder of the server's data; where it does not tell, that of the image. */
export async function readDataFolder(client: Client): Promise<string> {
  const options = await client.run('admin', { getCmdLineOpts: 1 });
  const parsed = fieldsOf(documentOf(options.get('parsed')) ?? NOTHING);
  const storage = fieldsOf(documentOf(parsed.get('storage')) ?? NOTHING);
  return textOf(storage.get('dbPath')) ?? DATA_FOLDER;
}

/** Every collection, view and time series of a database but the server's own. */
export async function listCollections(
  client: Client,
  database: string,
): Promise<readonly CollectionRow[]> {
  const found = await client.list(database, { listCollections: 1, cursor: {} });
  return found
    .map((document) => {
      const fields = fieldsOf(document);
      return {
        name: textOf(fields.get('name')) ?? '',
        type: textOf(fields.get('type')) ?? 'collection',
        options: documentOf(fields.get('options')) ?? NOTHING,
      };
    })
    .filter(({ name }) => !name.startsWith('system.'));
}

/** The same without what restores loaded or kept. */
async function ownCollections(client: Client, database: string): Promise<readonly CollectionRow[]> {
  const rows = await listCollections(client, database);
  return rows.filter(({ name }) => !isOurs(name));
}

/** The exact number of documents. */
export async function countDocuments(
  client: Client,
  database: string,
  collection: string,
): Promise<number> {
  const [counted] = await client.list(database, {
    aggregate: collection,
    pipeline: [{ $group: { _id: null, n: { $sum: 1 } } }],
    cursor: {},
  });
  return counted === undefined ? 0 : (numberOf(fieldsOf(counted).get('n')) ?? 0);
}

/** The indexes of a collection, as the server describes them. */
export async function listIndexes(
  client: Client,
  database: string,
  collection: string,
): Promise<readonly Bson[]> {
  return client.list(database, { listIndexes: collection, cursor: {} });
}
