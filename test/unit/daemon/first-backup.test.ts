import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Outcome } from '../../../src/core/events.ts';
import { fakeApp, type FakeApp } from '../cli/support.ts';
import { addBackup, source, startLife } from './scheduler-lives.ts';

/** For machines that are busy; nothing waits longer than it takes. */
const PATIENCE = { timeout: 8000, interval: 10 };

let world: FakeApp;

beforeEach(async () => {
  world = await fakeApp();
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

describe('a first backup that failed', () => {
  test('is tried again after a minute, then after twice as long each time, until one is there', async () => {
    world.discovery.sources.push(source('db'));
    let outcome: Outcome = 'failed';
    const now = startLife(world, { outcome: () => outcome });
    expect(await now.at('2026-01-01T10:00:00Z')).toEqual(['db first']);
    expect(await now.at('2026-01-01T10:00:59Z')).toEqual([]);
    expect(await now.schedules.tick(Date.parse('2026-01-01T10:00:59Z'))).toBe(
      Date.parse('2026-01-01T10:01:00Z'),
    );
    expect(await now.at('2026-01-01T10:01:00Z')).toEqual(['db first']);
    expect(await now.at('2026-01-01T10:02:59Z')).toEqual([]);
    outcome = 'success';
    expect(await now.at('2026-01-01T10:03:00Z')).toEqual(['db first']);
    expect(await now.at('2026-01-01T11:00:00Z')).toEqual([]);
  });

  test('is tried again where its run was skipped, too', async () => {
    world.discovery.sources.push(source('db'), source('other'), source('third'));
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const now = startLife(world, { outcome: () => promise, waitForRuns: false, capacity: 1 });
    await now.at('2026-01-01T10:00:00Z');
    // One runs, one waits, and for the third there is no room.
    await expect.poll(() => now.runs, PATIENCE).toEqual(['db first']);
    resolve('success');
    await expect.poll(() => now.runs, PATIENCE).toEqual(['db first', 'other first']);
    await now.at('2026-01-01T10:01:00Z');
    await expect.poll(() => now.runs, PATIENCE).toEqual(['db first', 'other first', 'third first']);
  });

  test('is wanted still when the scheduled ones meanwhile failed as often as they are tried', async () => {
    world.discovery.sources.push(source('db'));
    const now = startLife(world, { outcome: () => 'failed' });
    expect(await now.at('2026-01-01T01:30:00Z')).toEqual(['db first']);
    for (const minute of ['31', '33', '37', '45']) {
      expect(await now.at(`2026-01-01T01:${minute}:00Z`)).toEqual(['db first']);
    }
    // The next one would be at 02:01; the schedule comes before.
    expect(await now.at('2026-01-01T02:00:00Z')).toEqual(['db schedule']);
    for (const minute of ['01', '03', '07', '15', '31']) {
      expect(await now.at(`2026-01-01T02:${minute}:00Z`)).toEqual(['db first']);
    }
  });

  test('is not tried again where somebody made one by hand', async () => {
    world.discovery.sources.push(source('db'));
    const now = startLife(world, { outcome: () => 'failed' });
    expect(await now.at('2026-01-01T10:00:00Z')).toEqual(['db first']);
    await addBackup(world, 'db', '2026-01-01T10:00:30Z');
    expect(await now.at('2026-01-01T10:05:00Z')).toEqual([]);
  });
});
