import type { Warning } from '../../core/manifest.ts';
import { reach } from '../../core/steps.ts';
import { asRead, fieldsOf } from './bson.ts';
import { NAMESPACE_EXISTS, NAMESPACE_NOT_FOUND, ServerRefusal, type Client } from './client.ts';
import { listCollections } from './databases.ts';
import { writeMark, type Exchange, type Mark } from './marks.ts';
import { dropCollection, openMover, type Move } from './move.ts';
import type { StoredView } from './views.ts';

/** How often a database is looked at anew where something else changes names as well. */
const TRIES = 5;

/**
 * Brings an exchange that has begun to its end, from wherever it was left: forward, or back where the server refuses.
 * @returns the mark as it is then; `building`: nothing has been exchanged
 */
export async function settle(
  client: Client,
  mark: Mark,
): Promise<{ readonly mark: Mark; readonly warnings: readonly Warning[] }> {
  if (mark.state === 'forward') {
    try {
      return await goForward(client, mark);
    } catch (error) {
      if (!(error instanceof ServerRefusal)) {
        throw error;
      }
      const turned: Mark = { ...mark, state: 'back' };
      await writeMark(client, turned);
      await goBack(client, turned);
      throw error;
    }
  }
  return { mark: mark.state === 'back' ? await goBack(client, mark) : mark, warnings: [] };
}

async function goForward(
  client: Client,
  mark: Mark,
): Promise<{ readonly mark: Mark; readonly warnings: readonly Warning[] }> {
  const move = await openMover(client, mark);
  const warnings: Warning[] = [];
  for (const exchange of mark.exchanges) {
    const strays = await again(async () => forward(client, exchange, move));
    warnings.push(...strays.map((stray) => written(exchange.database, stray)));
    reach('swap-finished');
  }
  const done: Mark = { ...mark, state: 'kept', copy: null };
  await writeMark(client, done);
  return { mark: done, warnings };
}

async function goBack(client: Client, mark: Mark): Promise<Mark> {
  const move = await openMover(client, mark);
  for (const exchange of mark.exchanges) {
    await again(async () => back(client, exchange, move));
  }
  const done: Mark = { ...mark, state: 'building', copy: null };
  await writeMark(client, done);
  return done;
}

/** What a dead process had asked for may have been done after we looked, and clients make collections at any time: then we look again. */
async function again<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await work();
    } catch (error) {
      const isRace =
        error instanceof ServerRefusal &&
        (error.number === NAMESPACE_EXISTS || error.number === NAMESPACE_NOT_FOUND);
      if (!isRace || left === 0) {
        throw error;
      }
    }
  }
}

/** Collections of a database, kept up to date while their names change. */
interface Names {
  has(name: string): boolean;
  move(from: string, to: string): Promise<void>;
  /** Puts aside what clients made under this name in the moment in which there was nothing; resolves with its name then. */
  clear(name: string, prefix: string): Promise<string | null>;
}

async function namesIn(client: Client, database: string, move: Move): Promise<Names> {
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
      if (!names.has(name)) {
        return null;
      }
      let number = 2;
      while (names.has(`${prefix}${name}~${number}`)) {
        number += 1;
      }
      const stray = `${prefix}${name}~${number}`;
      await moveName(name, stray);
      return stray;
    },
  };
}

/** @returns names of collections that clients had made meanwhile */
async function forward(
  client: Client,
  { database, incoming, outgoing }: Exchange,
  move: Move,
): Promise<readonly string[]> {
  await dropViews(client, database, [...outgoing.views, ...incoming.views]);
  const names = await namesIn(client, database, move);
  const comes = new Set(incoming.collections);
  const goes = new Set(outgoing.collections);
  const strays: string[] = [];
  for (const name of new Set([...goes, ...comes])) {
    const kept = outgoing.prefix + name;
    if (goes.has(name) && names.has(name) && !names.has(kept)) {
      await names.move(name, kept);
      reach('swap-moved');
    }
    const loaded = incoming.prefix + name;
    if (comes.has(name) && names.has(loaded)) {
      const stray = await names.clear(name, outgoing.prefix);
      strays.push(...(stray === null ? [] : [stray]));
      await names.move(loaded, name);
      reach('swap-moved');
    }
  }
  await makeViews(client, database, incoming.views);
  return strays;
}

async function back(
  client: Client,
  { database, incoming, outgoing }: Exchange,
  move: Move,
): Promise<void> {
  await dropViews(client, database, [...outgoing.views, ...incoming.views]);
  const names = await namesIn(client, database, move);
  const comes = new Set(incoming.collections);
  const goes = new Set(outgoing.collections);
  for (const name of new Set([...goes, ...comes])) {
    const kept = outgoing.prefix + name;
    const loaded = incoming.prefix + name;
    // Where what was in use has not gone yet, nothing has come either.
    const hasCome = !goes.has(name) || names.has(kept);
    if (comes.has(name) && hasCome && names.has(name) && !names.has(loaded)) {
      await names.move(name, loaded);
    }
    if (goes.has(name) && names.has(kept)) {
      await names.clear(name, outgoing.prefix);
      await names.move(kept, name);
    }
  }
  await makeViews(client, database, outgoing.views);
}

/** Views have no documents: they are dropped and made. */
async function dropViews(
  client: Client,
  database: string,
  views: readonly StoredView[],
): Promise<void> {
  const wanted = new Set(views.map(({ name }) => name));
  for (const { name, type } of await listCollections(client, database)) {
    if (type === 'view' && wanted.has(name)) {
      await dropCollection(client, database, name);
    }
  }
}

async function makeViews(
  client: Client,
  database: string,
  views: readonly StoredView[],
): Promise<void> {
  for (const { name, options } of views) {
    const fields = [...fieldsOf(Buffer.from(options, 'base64'))];
    const given = Object.fromEntries(fields.map(([option, field]) => [option, asRead(field)]));
    await client.run(database, { create: name, ...given });
  }
}

function written(database: string, stray: string): Warning {
  return {
    code: 'written-meanwhile',
    message: `clients wrote into "${database}" in the moment of the swap; these documents are in "${stray}"`,
  };
}
