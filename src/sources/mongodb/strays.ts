import type { Warning } from '../../core/manifest.ts';
import { ServerRefusal, type Client } from './client.ts';
import { listCollections } from './databases.ts';
import { dropCollection, type Move } from './move.ts';

/** Collections of a database, kept up to date while their names change. */
export interface Names {
  has(name: string): boolean;
  move(from: string, to: string): Promise<void>;
  /** Puts aside what clients made under this name in the moment in which there was nothing. */
  clear(name: string, prefix: string): Promise<void>;
}

export async function namesIn(client: Client, database: string, move: Move): Promise<Names> {
  const rows = await listCollections(client, database);
  const names = new Set(rows.filter(({ type }) => type !== 'view').map(({ name }) => name));

  async function moveName(from: string, to: string): Promise<void> {
    await move(database, from, to);
    names.delete(from);
    names.add(to);
  }

  return {
    has: (name) => names.has(name),
    move: moveName,
    async clear(name, prefix) {
      if (names.has(name)) {
        let number = 1;
        while (names.has(strayName(name, prefix, number))) {
          number += 1;
        }
        await moveName(name, strayName(name, prefix, number));
      }
    },
  };
}

/** What the names of strays begin with where what is kept begins with this. */
export function strayPrefix(prefix: string): string {
  return `${prefix.slice(0, -1)}~`;
}

function strayName(name: string, prefix: string, number: number): string {
  return `${strayPrefix(prefix)}${number}_${name}`;
}

/**
 * Adds what clients wrote in the moment of a swap to what is in use now.
 * @returns names of those that do not fit there: a unique index refuses them
 */
export async function takeInStrays(
  client: Client,
  database: string,
  prefix: string,
): Promise<readonly string[]> {
  const left: string[] = [];
  for (const { name: stray } of await listCollections(client, database)) {
    const name = stray.startsWith(strayPrefix(prefix)) ? stray.replace(/^.*?~\d+_/s, '') : null;
    if (name !== null && !(await takeIn(client, database, { stray, name }))) {
      left.push(stray);
    }
  }
  return left;
}

async function takeIn(
  client: Client,
  database: string,
  { stray, name }: { readonly stray: string; readonly name: string },
): Promise<boolean> {
  const merge = { into: name, whenMatched: 'keepExisting', whenNotMatched: 'insert' };
  try {
    await client.list(database, { aggregate: stray, pipeline: [{ $merge: merge }], cursor: {} });
  } catch (error) {
    if (error instanceof ServerRefusal) {
      return false;
    }
    throw error;
  }
  await dropCollection(client, database, stray);
  return true;
}

export function warnOf(database: string, stray: string): Warning {
  return {
    code: 'written-meanwhile',
    message: `clients wrote into "${database}" in the moment of the swap what does not fit to what was restored; it is in "${stray}"`,
  };
}
