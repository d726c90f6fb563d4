import { Readable } from 'node:stream';
import type { Warning } from '../../core/manifest.ts';
import type { DumpPart, StreamReader } from '../../core/source.ts';
import { corrupt } from './archive-parser.ts';
import type { Bson } from './bson.ts';
import { ServerRefusal, type Client } from './client.ts';

/** Users and roles as the server stores them, with the hashes of passwords. */
export interface Accounts {
  /** By the name of the collection in `admin`; those that have something. */
  readonly collections: ReadonlyMap<string, readonly Bson[]>;
  readonly warnings: readonly Warning[];
}

const COLLECTIONS = ['system.users', 'system.roles'];

/** Servers that keep them elsewhere have no such collections; one that shows them to few is told of. */
export async function readAccounts(client: Client): Promise<Accounts> {
  const collections = new Map<string, readonly Bson[]>();
  const warnings: Warning[] = [];
  for (const collection of COLLECTIONS) {
    try {
      const documents = await client.list('admin', { find: collection });
      if (documents.length > 0) {
        collections.set(collection, documents);
      }
    } catch (error) {
      if (!(error instanceof ServerRefusal)) {
        throw error;
      }
      const message = `"${collection}" of "admin" was not dumped: ${error.message}`;
      warnings.push({ code: 'rights-missing', message });
    }
  }
  return { collections, warnings };
}

/** A file for each, as mongodump writes them into a folder: one document after the other. */
export function accountParts({ collections }: Accounts): readonly DumpPart[] {
  return [...collections].map(([collection, documents]) => ({
    stem: `${collection}.bson`,
    format: 'bson',
    database: null,
    encoding: 'none',
    stream: Readable.from([Buffer.concat(documents)]),
  }));
}

/** Checks that a file is of whole documents. */
export function bsonReader(): StreamReader {
  let length = Buffer.alloc(0);
  let left = 0;
  return {
    push(plain) {
      let at = 0;
      while (at < plain.length) {
        const isLength = left === 0;
        const piece = plain.subarray(at, at + (isLength ? 4 - length.length : left));
        at += piece.length;
        if (!isLength) {
          left -= piece.length;
          continue;
        }
        length = Buffer.concat([length, piece]);
        if (length.length === 4) {
          left = length.readInt32LE() - 4;
          length = Buffer.alloc(0);
          if (left < 1) {
            throw corrupt('has a document without a length');
          }
        }
      }
    },
    end() {
      if (left > 0 || length.length > 0) {
        throw corrupt('ends within a document');
      }
      return {};
    },
  };
}
