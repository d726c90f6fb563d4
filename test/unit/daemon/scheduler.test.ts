import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Outcome, RunEvent } from '../../../src/core/events.ts';
import type { Discovery } from '../../../src/jobs/context.ts';
import { readAttempts, recordAttempt } from '../../../src/store/attempts.ts';
import { readScheduleState } from '../../../src/store/schedule-state.ts';
import { fakeApp, type FakeApp } from '../cli/support.ts';
import { addBackup, source, startLife, type Life, type LifeOptions } from './scheduler-lives.ts';

const SILENT = { code: 'target-unavailable', message: 'no socket', hint: null } as const;

/** For machines that are busy; nothing waits longer than it takes. */
const PATIENCE = { timeout: 8000, interval: 10 };

let world: FakeApp;
let events: RunEvent[];

beforeEach(async () => {
  events = [];
  world = await fakeApp({
    emit: (event) => {
      events.push(event);
    },
  });
});

afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

function life(options: LifeOptions = {}): Life {
  return startLife(world, options);
}

/** Puts a good backup that began at this instant into the catalog. */
async function backedUp(name: string, startedAt: string): Promise<void> {
  await addBackup(world, name, startedAt);
}

async function handledUntil(name: string): Promise<string | null> {
  const stored = await readScheduleState(world.app.context.storage.dir, name);
  return stored?.handledUntil?.slice(0, 16) ?? null;
}

async function attempted(name: string, at: string, outcome: Outcome): Promise<void> {
  await recordAttempt(world.app.context.storage.dir, name, {
    at,
    finishedAt: at,
    outcome,
    trigger: 'schedule',
    id: null,
    failure: null,
  });
}

describe('the first backup', () => {
  test('of a new source is made at once, then it goes by the schedule', async () => {
    world.discovery.sources.push(source('db'));
    const now = life();
    expect(await now.at('2026-11-22T12:00:00Z')).toEqual(['db first']);
    await backedUp('db', '2026-11-22T12:00:00Z');
    expect(await now.at('2026-11-22T12:00:30Z')).toEqual([]);
    expect(await now.at('2026-11-23T02:00:00Z')).toEqual(['db schedule']);
    expect(await now.at('2026-11-23T02:00:01Z')).toEqual([]);
  });

  test('of a source that appears later, too', async () => {
    const now = life();
    expect(await now.at('2026-11-22T12:00:00Z')).toEqual([]);
    world.discovery.sources.push(source('db'));
    expect(await now.at('2026-11-22T12:00:30Z')).toEqual(['db first']);
  });

  test.each(['gone', 'damaged'])(
    'is made again, once, where the last one is %s and there is no other',
    async (how) => {
      const { catalog, storage } = world.app.context;
      world.discovery.sources.push(source('db'));
      const at = '2026-11-22T02:00:00Z';
      const manifest = await addBackup(world, 'db', at);
      const success = { at, finishedAt: at, outcome: 'success', trigger: 'schedule' } as const;
      await recordAttempt(storage.dir, 'db', { ...success, id: manifest.id, failure: null });
      const now = life();
      expect(await now.at('2026-11-22T12:00:00Z')).toEqual([]);
      await (how === 'gone'
        ? rm(join(storage.dir, 'db'), { recursive: true })
        : catalog.addReceipt({ manifest }, { type: 'damaged', at, message: 'torn' }));
      expect(await now.at('2026-11-22T12:01:00Z')).toEqual(['db first']);
      expect(now.troubles).toEqual([
        'the last good backup is lost, another one is made: undefined',
      ]);
      expect(await now.at('2026-11-22T12:02:00Z')).toEqual([]);
    },
  );

  test('is not made again where the last one is suspicious, or failed', async () => {
    const { storage } = world.app.context;
    world.discovery.sources.push(source('db'));
    const at = '2026-11-22T02:00:00Z';
    const { id } = await addBackup(world, 'db', at, { suspicious: true });
    const success = { at, finishedAt: at, outcome: 'success', trigger: 'schedule' } as const;
    await recordAttempt(storage.dir, 'db', { ...success, id, failure: null });
    const now = life();
    expect(await now.at('2026-11-22T12:00:00Z')).toEqual(['db first']);
    expect(await now.at('2026-11-22T12:01:00Z')).toEqual([]);
    await attempted('db', '2026-11-22T12:01:30Z', 'failed');
    expect(await now.at('2026-11-22T12:02:00Z')).toEqual([]);
  });

  test('is not made of a source that has one, nor by a schedule that is off', async () => {
    await backedUp('db', '2026-11-22T02:00:00Z');
    world.discovery.sources.push(source('db'), source('off', []));
    expect(await life().at('2026-11-22T12:00:00Z')).toEqual([]);
  });
});

describe('over restarts', () => {
  beforeEach(async () => {
    world.discovery.sources.push(source('db'));
    await backedUp('db', '2026-11-20T02:00:00Z');
    await life().at('2026-11-20T12:00:00Z');
    expect(await life().at('2026-11-21T02:00:00Z')).toEqual(['db schedule']);
  });

  test('nothing is replayed', async () => {
    expect(await life().at('2026-11-21T02:00:20Z')).toEqual([]);
    expect(await life().at('2026-11-21T20:00:00Z')).toEqual([]);
    expect(await handledUntil('db')).toBe('2026-11-21T02:00');
  });

  test('what was missed is made up for once', async () => {
    expect(await life().at('2026-11-24T09:00:00Z')).toEqual(['db catch-up']);
    expect(await life().at('2026-11-24T09:05:00Z')).toEqual([]);
  });

  test('not where somebody made a backup since', async () => {
    await backedUp('db', '2026-11-24T08:00:00Z');
    expect(await life().at('2026-11-24T09:00:00Z')).toEqual([]);
    expect(await handledUntil('db')).toBe('2026-11-24T02:00');
  });

  test('a run that the shutdown cut off is made up for', async () => {
    const held = Promise.withResolvers<Outcome>();
    const dying = life({ outcome: () => held.promise, waitForRuns: false });
    await dying.at('2026-11-22T02:00:00Z');
    await expect.poll(() => dying.runs, PATIENCE).toEqual(['db schedule']);
    const stopped = dying.stop();
    held.resolve('interrupted');
    await stopped;
    expect(await life().at('2026-11-22T02:05:00Z')).toEqual(['db catch-up']);
  });

  test('a run whose process died is made up for, but not for ever', async () => {
    for (const minute of ['00', '05', '10']) {
      const instant = `2026-11-22T02:${minute}:00Z`;
      const dying = life({ outcome: () => new Promise(() => undefined), waitForRuns: false });
      await dying.at(instant);
      await expect.poll(() => dying.runs, PATIENCE).toHaveLength(1);
      await attempted('db', instant, 'interrupted');
    }
    expect(await life().at('2026-11-22T02:15:00Z')).toEqual([]);
    expect(await life().at('2026-11-23T02:00:00Z')).toEqual(['db schedule']);
  });
});

describe('the clock', () => {
  beforeEach(async () => {
    world.discovery.sources.push(source('db'));
    await backedUp('db', '2026-11-20T02:00:00Z');
  });

  test('set back does not make it run twice, in one life or over a restart', async () => {
    const now = life();
    await now.at('2026-11-21T01:00:00Z');
    expect(await now.at('2026-11-21T02:00:00Z')).toEqual(['db schedule']);
    expect(await now.at('2026-11-21T01:30:00Z')).toEqual([]);
    expect(await now.at('2026-11-21T02:00:00Z')).toEqual([]);
    expect(await life().at('2026-11-21T02:00:30Z')).toEqual([]);
    expect(await now.at('2026-11-22T02:00:00Z')).toEqual(['db schedule']);
  });

  test('set back by days does not stall it', async () => {
    const now = life();
    await now.at('2027-05-01T01:00:00Z');
    expect(await now.at('2027-05-01T02:00:00Z')).toEqual(['db schedule']);
    expect(await now.at('2026-11-21T12:00:00Z')).toEqual([]);
    expect(await now.at('2026-11-22T02:00:00Z')).toEqual(['db schedule']);
    expect(await life().at('2026-11-23T02:00:00Z')).toEqual(['db schedule']);
  });

  test('set forward makes it run once', async () => {
    const now = life();
    await now.at('2026-11-21T01:00:00Z');
    expect(await now.at('2026-11-29T14:00:00Z')).toEqual(['db catch-up']);
    expect(await now.at('2026-11-29T14:00:30Z')).toEqual([]);
  });

  test('is asked again when the next occurrence is', async () => {
    const now = life();
    await now.at('2026-11-21T01:00:00Z');
    const next = await now.schedules.tick(Date.parse('2026-11-21T01:00:00Z'));
    expect(next).toBe(Date.parse('2026-11-21T02:00:00Z'));
    expect(await life().schedules.tick(0)).toBeNull();
  });
});

describe('runs that meet', () => {
  test('a second of one source is skipped, said and counted, also after a restart', async () => {
    world.discovery.sources.push(source('db', ['*/15 * * * *']));
    await backedUp('db', '2026-11-22T02:00:00Z');
    const held = Promise.withResolvers<Outcome>();
    const now = life({ outcome: () => held.promise, waitForRuns: false });
    await now.at('2026-11-22T02:01:00Z');
    await now.at('2026-11-22T02:15:00Z');
    await expect.poll(() => now.runs, PATIENCE).toEqual(['db schedule']);
    await now.at('2026-11-22T02:30:00Z');
    expect(now.runs).toHaveLength(1);
    expect(events).toMatchObject([{ type: 'run-skipped', source: 'db' }]);
    const { attempts, totals } = await readAttempts(world.app.context.storage.dir, 'db');
    expect(totals.skipped).toBe(1);
    expect(attempts[0]).toMatchObject({ outcome: 'skipped', at: '2026-11-22T02:30:00.000Z' });
    held.resolve('success');
    await expect.poll(() => handledUntil('db'), PATIENCE).toBe('2026-11-22T02:30');
    expect(await life().at('2026-11-22T02:31:00Z')).toEqual([]);
  });

  test('of several sources wait for each other and are all made', async () => {
    world.discovery.sources.push(source('a'), source('b'), source('c'));
    expect(await life({ concurrency: 1 }).at('2026-11-22T12:00:00Z')).toEqual([
      'a first',
      'b first',
      'c first',
    ]);
  });
});

describe('sources that change', () => {
  beforeEach(async () => {
    world.discovery.sources.push(source('db'));
    await backedUp('db', '2026-11-20T02:00:00Z');
  });

  test('one that is gone does not run any more', async () => {
    const now = life();
    await now.at('2026-11-21T01:00:00Z');
    world.discovery.sources.length = 0;
    expect(await now.at('2026-11-21T02:00:00Z')).toEqual([]);
  });

  test('one that went since the last look is skipped and counted', async () => {
    const now = life();
    await now.at('2026-11-21T01:00:00Z');
    world.discovery.sources.length = 0;
    await now.schedules.tick(Date.parse('2026-11-21T02:00:00Z'));
    await expect.poll(() => handledUntil('db'), PATIENCE).toBe('2026-11-21T02:00');
    expect(events.map(({ type }) => type)).toEqual(['run-skipped', 'retry-planned']);
    expect(now.runs).toEqual([]);
  });

  test('one runs by the configuration that it has now', async () => {
    const now = life();
    await now.at('2026-11-21T01:00:00Z');
    world.discovery.sources.splice(0, 1, source('db', ['0 8 * * *']));
    expect(await now.at('2026-11-21T02:00:00Z')).toEqual([]);
    expect(await now.at('2026-11-21T08:00:00Z')).toEqual(['db schedule']);
  });

  test('all stay while Docker is silent: their runs fail and are seen to fail', async () => {
    const now = life({ outcome: () => 'failed' });
    await now.at('2026-11-21T01:00:00Z');
    const gone: Discovery = { sources: [], problems: [], docker: SILENT };
    Object.assign(world.discovery, gone);
    expect(await now.at('2026-11-21T02:00:00Z')).toEqual(['db schedule']);
  });

  test('one is run as it was seen last where it cannot be looked up', async () => {
    const now = life();
    await now.at('2026-11-21T01:00:00Z');
    Object.assign(world.app, { discover: () => Promise.reject(new Error('no room')) });
    expect(await now.at('2026-11-21T02:00:00Z')).toEqual(['db schedule']);
    expect(now.troubles).toEqual(['sources not looked up: no room']);
  });
});
