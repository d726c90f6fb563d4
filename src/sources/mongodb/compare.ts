import {
  compareFacts,
  wereTaken,
  type Comparison,
  type DatabaseFacts,
  type TableFact,
} from '../../core/facts.ts';
import type { BesideDatabase } from '../../core/restorer.ts';
import { fieldsOf } from './bson.ts';
import type { Client } from './client.ts';
import { countDocuments, listCollections, listIndexes } from './databases.ts';

/** Compares what was loaded beside with what was true of the database when it was dumped; views are made with the swap. */
export async function compareDatabase(
  client: Client,
  { name, restoredAs, temporaryId: prefix }: BesideDatabase,
  { expected, views }: { readonly expected: DatabaseFacts; readonly views: number },
): Promise<Comparison> {
  if (!wereTaken(expected)) {
    return compareFacts(name, expected, expected);
  }
  const tables: Record<string, TableFact> = {};
  const expiring = new Set<string>();
  let indexes = 0;
  for (const { name: loaded } of await listCollections(client, restoredAs)) {
    if (loaded.startsWith(prefix)) {
      const collection = loaded.slice(prefix.length);
      const rows = await countDocuments(client, restoredAs, loaded);
      const found = await listIndexes(client, restoredAs, loaded);
      tables[collection] = { rows, exact: true };
      indexes += found.length;
      if (found.some((index) => fieldsOf(index).has('expireAfterSeconds'))) {
        expiring.add(collection);
      }
    }
  }
  const collections = Object.keys(tables).length;
  return compareFacts(name, withoutExpired(expected, tables, expiring), {
    sizeBytes: null,
    tables,
    sequences: {},
    objects: { collections, indexes, ...(views === 0 ? {} : { views }) },
  });
}

/** The server deletes documents that have expired as soon as it has loaded them: fewer are no difference there. */
function withoutExpired(
  expected: DatabaseFacts,
  found: Readonly<Record<string, TableFact>>,
  expiring: ReadonlySet<string>,
): DatabaseFacts {
  const tables = Object.entries(expected.tables).map(([collection, fact]): [string, TableFact] => {
    const isFewer = (found[collection]?.rows ?? 0) < (fact.rows ?? 0);
    return [collection, expiring.has(collection) && isFewer ? { ...fact, exact: false } : fact];
  });
  return { ...expected, tables: Object.fromEntries(tables) };
}
