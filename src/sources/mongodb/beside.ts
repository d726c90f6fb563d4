import type { Client } from './client.ts';
import { listCollections } from './databases.ts';
import { settle } from './exchange.ts';
import { readMark, readMarks, removeMark, type Mark } from './marks.ts';
import { dropCollection } from './move.ts';

/** Drops what a restore loaded beside; one that died before it could say what it would load has loaded nothing. */
export async function discardBeside(client: Client, run: string): Promise<void> {
  const mark = await readMark(client, run);
  if (mark?.state === 'building') {
    await dropBeside(client, mark);
  }
}

/** Puts right what dead runs of this source left in the server. The caller holds the source's lock, and no journal is open. */
export async function clearUp(client: Client, owner: string): Promise<void> {
  for (const found of await readMarks(client)) {
    if (found.owner === owner) {
      const { mark } = await settle(client, found);
      const keepsNothing = mark.exchanges.every(({ outgoing }) => isNothing(outgoing));
      if (mark.state === 'building') {
        await dropBeside(client, mark);
      } else if (keepsNothing) {
        await removeMark(client, mark.run);
      }
    }
  }
}

function isNothing({ collections, views }: Mark['exchanges'][number]['outgoing']): boolean {
  return collections.length === 0 && views.length === 0;
}

async function dropBeside(client: Client, { run, exchanges, undoes }: Mark): Promise<void> {
  for (const { database, incoming } of undoes === null ? exchanges : []) {
    await dropAll(client, database, incoming.prefix);
  }
  await removeMark(client, run);
}

/** Drops all collections whose names begin so, also those that a dead process had asked for and that only now come to be. */
export async function dropAll(client: Client, database: string, prefix: string): Promise<void> {
  for (;;) {
    const rows = await listCollections(client, database);
    const found = rows.filter(({ name }) => name.startsWith(prefix));
    if (found.length === 0) {
      return;
    }
    for (const { name } of found) {
      await dropCollection(client, database, name);
    }
  }
}
