import type { TableFact } from '../../core/facts.ts';
import type { PartFacts, StreamReader } from '../../core/source.ts';
import { archiveParser, corrupt } from './archive-parser.ts';
import { booleanOf, fieldsOf, int64Of, textOf, type Bson } from './bson.ts';
import { crc64, type Crc64 } from './crc64.ts';

/** A collection, view or time series of the archive. */
interface Namespace {
  readonly collection: string;
  readonly kind: 'collection' | 'view' | 'timeseries';
  readonly indexes: number;
  readonly checksum: Crc64;
  documents: number;
  isClosed: boolean;
}

/** What mongodump calls the collection that holds what a time series shows. */
const BUCKETS = 'system.buckets.';
const BLOCK_FIELDS = ['db', 'collection', 'EOF', 'CRC'];

/**
 * Reads an archive of one database to its end, checks the checksum of every collection, and counts documents and indexes. The format
 * has no mark of its end: it is whole when everything that it announced was closed.
 */
export function archiveReader(): StreamReader {
  let hasHeader = false;
  let database: string | null = null;
  const namespaces = new Map<string, Namespace>();
  let current: Namespace | null = null;

  function announce(document: Bson): void {
    if (!hasHeader) {
      checkHeader(document);
      hasHeader = true;
      return;
    }
    const { db, namespace } = readAnnouncement(document);
    if (db !== (database ?? db)) {
      throw corrupt('is of more than one database');
    }
    database = db;
    addNamespace(namespaces, namespace);
  }

  const parser = archiveParser({
    onPrelude: announce,
    onPreludeEnd() {
      if (database === null) {
        throw corrupt('has no collection: the database was not there');
      }
    },
    onBlock(header) {
      current = beginBlock(header, database, namespaces);
    },
    onDocuments(count) {
      if (current === null || current.isClosed) {
        throw corrupt('has documents after the end of their collection');
      }
      current.documents += count;
    },
    onBytes(bytes) {
      current?.checksum.push(bytes);
    },
    onBlockEnd() {
      current = null;
    },
  });

  return {
    push(plain) {
      parser.push(plain);
    },
    end(): PartFacts {
      parser.end();
      const all = [...new Set(namespaces.values())];
      const open = all.find(({ isClosed }) => !isClosed);
      if (open !== undefined) {
        throw corrupt(`ends before the end of "${open.collection}"`);
      }
      return describe(all);
    },
  };
}

function checkHeader(header: Bson): void {
  const version = textOf(fieldsOf(header).get('version'));
  if (version !== '0.1') {
    throw corrupt(`has the unknown version ${version ?? 'none'}`);
  }
}

/** The data of a time series may come under either name, which depends on the server's version. */
function addNamespace(namespaces: Map<string, Namespace>, namespace: Namespace): void {
  const { kind, collection } = namespace;
  const names = kind === 'timeseries' ? [collection, BUCKETS + collection] : [collection];
  for (const name of names) {
    if (namespaces.has(name)) {
      throw corrupt(`announces "${name}" twice`);
    }
    namespaces.set(name, namespace);
  }
}

/** @returns what the documents that follow belong to, closed where this says that there are no more */
function beginBlock(
  header: Bson,
  database: string | null,
  namespaces: ReadonlyMap<string, Namespace>,
): Namespace {
  const fields = fieldsOf(header);
  const isEnd = booleanOf(fields.get('EOF'));
  const checksum = int64Of(fields.get('CRC'));
  const name = textOf(fields.get('collection')) ?? '';
  const isKnown = [...fields.keys()].join() === BLOCK_FIELDS.join();
  const namespace = namespaces.get(name);
  if (!isKnown || textOf(fields.get('db')) !== database || namespace === undefined) {
    throw corrupt('has a block of what it did not announce');
  }
  if (namespace.isClosed || isEnd === null || checksum === null || (!isEnd && checksum !== 0n)) {
    throw corrupt(`goes on after the end of "${name}"`);
  }
  if (isEnd && BigInt.asUintN(64, checksum) !== namespace.checksum.value()) {
    throw corrupt(
      `has documents of "${name}" that are not those that were dumped: the checksum differs`,
    );
  }
  namespace.isClosed = isEnd;
  return namespace;
}

function readAnnouncement(document: Bson): { readonly db: string; readonly namespace: Namespace } {
  const fields = fieldsOf(document);
  const db = textOf(fields.get('db'));
  const collection = textOf(fields.get('collection'));
  if (db === null || collection === null) {
    throw corrupt('announces what has no name');
  }
  const metadata = textOf(fields.get('metadata')) ?? '';
  const type = textOf(fields.get('type'));
  return {
    db,
    namespace: {
      collection,
      kind: type === 'view' || type === 'timeseries' ? type : 'collection',
      indexes: countIndexes(collection, metadata),
      checksum: crc64(),
      documents: 0,
      isClosed: false,
    },
  };
}

/** It is empty for what was dropped when the dump had just begun, which then comes without documents. */
function countIndexes(collection: string, metadata: string): number {
  if (metadata === '') {
    return 0;
  }
  try {
    const { indexes } = JSON.parse(metadata) as { readonly indexes?: unknown };
    return Array.isArray(indexes) ? indexes.length : 0;
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw corrupt(`says nothing that can be read of "${collection}"`);
    }
    throw error;
  }
}

function describe(all: readonly Namespace[]): PartFacts {
  const collections = all.filter(({ kind }) => kind !== 'view');
  const views = all.length - collections.length;
  const tables = collections.map(({ collection, documents }): [string, TableFact] => [
    collection,
    { rows: documents, exact: true },
  ]);
  return {
    tables: Object.fromEntries(tables.toSorted(([one], [other]) => (one < other ? -1 : 1))),
    sequences: {},
    objects: {
      collections: collections.length,
      indexes: collections.reduce((sum, { indexes }) => sum + indexes, 0),
      ...(views === 0 ? {} : { views }),
    },
  };
}
