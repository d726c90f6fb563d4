import { reach } from '../../core/steps.ts';
import { embedded, fieldsOf, textOf } from './bson.ts';
import { NAMESPACE_NOT_FOUND, ServerRefusal, type Client } from './client.ts';
import { listIndexes } from './databases.ts';
import { readMark, writeMark, type Mark } from './marks.ts';

/** Gives a collection another name in its database: all at once, whatever dies meanwhile. */
export type Move = (database: string, from: string, to: string) => Promise<void>;

const INVALID_NAMESPACE = 73;
const MAX_TIME_EXPIRED = 50;
/** How long a rename waits for transactions and the like, while all others wait behind it. */
const RENAME_TIMEOUT_MS = 5000;

/** Moves collections for a restore; what was left half-copied is put right first. */
export async function openMover(client: Client, mark: Mark): Promise<Move> {
  const copy = (await readMark(client, mark.run))?.copy ?? null;
  if (copy !== null) {
    await dropCollection(client, copy.database, copy.isWhole ? copy.from : copy.to);
    await writeMark(client, { ...mark, copy: null });
  }
  return async (database, from, to) => {
    try {
      await client.run('admin', {
        renameCollection: `${database}.${from}`,
        to: `${database}.${to}`,
        maxTimeMS: RENAME_TIMEOUT_MS,
      });
    } catch (error) {
      if (error instanceof ServerRefusal && error.number === MAX_TIME_EXPIRED) {
        throw new ServerRefusal(
          'target-in-use',
          `somebody keeps "${database}.${from}" from being renamed: ${error.message}`,
          error.number,
          'End transactions that are open and what else runs for long on it, then run the command again.',
        );
      }
      // FerretDB does not rename what has a dot in its name.
      const isDotted = from.includes('.') || to.includes('.');
      if (!(error instanceof ServerRefusal) || error.number !== INVALID_NAMESPACE || !isDotted) {
        throw error;
      }
      await moveByCopy(client, mark, { database, from, to });
    }
  };
}

async function moveByCopy(
  client: Client,
  mark: Mark,
  names: { readonly database: string; readonly from: string; readonly to: string },
): Promise<void> {
  const { database, from, to } = names;
  await writeMark(client, { ...mark, copy: { ...names, isWhole: false } });
  await client.run(database, { create: to });
  const indexes = (await listIndexes(client, database, from)).filter(
    (index) => textOf(fieldsOf(index).get('name')) !== '_id_',
  );
  if (indexes.length > 0) {
    await client.run(database, { createIndexes: to, indexes: indexes.map(embedded) });
  }
  await client.list(database, {
    aggregate: from,
    pipeline: [{ $merge: { into: to } }],
    cursor: {},
  });
  reach('swap-sent');
  await writeMark(client, { ...mark, copy: { ...names, isWhole: true } });
  reach('swap-sent');
  await dropCollection(client, database, from);
  await writeMark(client, { ...mark, copy: null });
}

/** Idempotent; views are dropped so, too. */
export async function dropCollection(
  client: Client,
  database: string,
  collection: string,
): Promise<void> {
  try {
    await client.run(database, { drop: collection });
  } catch (error) {
    if (!(error instanceof ServerRefusal) || error.number !== NAMESPACE_NOT_FOUND) {
      throw error;
    }
  }
}
