import type { Warning } from '../../core/manifest.ts';
import { reach } from '../../core/steps.ts';
import { asRead, fieldsOf } from './bson.ts';
import { ServerRefusal, type Client } from './client.ts';
import { listCollections } from './databases.ts';
import { readMark, writeMark, type Exchange, type Mark } from './marks.ts';
import { dropCollection, openMover, type Move } from './move.ts';
import { namesIn, takeInStrays, warnOf } from './strays.ts';
import type { StoredView } from './views.ts';

/** How often a database is looked at anew. */
const TRIES = 10;

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
      // As it is in the server: what is half-copied is written there.
      const turned: Mark = { ...((await readMark(client, mark.run)) ?? mark), state: 'back' };
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
  const warnings: Warning[] = [];
  for (const exchange of mark.exchanges) {
    const strays = await again(client, mark, async (move) => forward(client, exchange, move));
    warnings.push(...strays.map((stray) => warnOf(exchange.database, stray)));
    reach('swap-finished');
  }
  const done: Mark = { ...mark, state: 'kept', copy: null };
  await writeMark(client, done);
  return { mark: done, warnings };
}

async function goBack(client: Client, mark: Mark): Promise<Mark> {
  for (const exchange of mark.exchanges) {
    await again(client, mark, async (move) => back(client, exchange, move));
  }
  const done: Mark = { ...mark, state: 'building', copy: null };
  await writeMark(client, done);
  return done;
}

/**
 * Clients make collections at any time, and what a dead process had asked for may be done after we looked: then the server
 * refuses, each in words of its own, and we look again.
 */
async function again<Result>(
  client: Client,
  mark: Mark,
  work: (move: Move) => Promise<Result>,
): Promise<Result> {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await work(await openMover(client, mark));
    } catch (error) {
      if (!(error instanceof ServerRefusal) || left === 0) {
        throw error;
      }
    }
  }
}

/** @returns names of collections that clients had made meanwhile, and that stay aside */
async function forward(
  client: Client,
  { database, incoming, outgoing }: Exchange,
  move: Move,
): Promise<readonly string[]> {
  await dropViews(client, database, [...outgoing.views, ...incoming.views]);
  const names = await namesIn(client, database, move);
  const comes = new Set(incoming.collections);
  const goes = new Set(outgoing.collections);
  for (const name of new Set([...goes, ...comes])) {
    const kept = outgoing.prefix + name;
    if (goes.has(name) && names.has(name) && !names.has(kept)) {
      await names.move(name, kept);
      reach('swap-moved');
    }
    const loaded = incoming.prefix + name;
    if (comes.has(name) && names.has(loaded)) {
      await names.clear(name, outgoing.prefix);
      await names.move(loaded, name);
      reach('swap-moved');
    }
  }
  await makeViews(client, database, incoming.views);
  return takeInStrays(client, database, outgoing.prefix);
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
  await takeInStrays(client, database, outgoing.prefix);
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
