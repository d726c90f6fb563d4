import {
  compareFacts,
  wereTaken,
  type Comparison,
  type DatabaseFacts,
  type TableFact,
} from '../../core/facts.ts';
import type { BesideDatabase } from '../../core/source.ts';
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
  let indexes = 0;
  for (const { name: loaded } of await listCollections(client, restoredAs)) {
    if (loaded.startsWith(prefix)) {
      const rows = await countDocuments(client, restoredAs, loaded);
      tables[loaded.slice(prefix.length)] = { rows, exact: true };
      indexes += (await listIndexes(client, restoredAs, loaded)).length;
    }
  }
  const collections = Object.keys(tables).length;
  return compareFacts(name, expected, {
    sizeBytes: null,
    tables,
    sequences: {},
    objects: { collections, indexes, ...(views === 0 ? {} : { views }) },
  });
}
