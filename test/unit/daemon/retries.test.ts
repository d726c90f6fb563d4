import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Outcome, RunEvent } from '../../../src/core/events.ts';
import { readAttempts } from '../../../src/store/attempts.ts';
import { fakeApp, type FakeApp } from '../cli/support.ts';
import { addBackup, source, startLife } from './scheduler-lives.ts';

let world: FakeApp;
let events: RunEvent[];

beforeEach(async () => {
  events = [];
  world = await fakeApp({
    emit: (event) => {
      events.push(event);
    },
  });
  world.discovery.sources.push(source('db'));
  await addBackup(world, 'db', '2026-11-20T02:00:00Z');
  await startLife(world).at('2026-11-20T12:00:00Z');
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

async function retries(): Promise<readonly (string | null | undefined)[]> {
  const { attempts } = await readAttempts(world.app.context.storage.dir, 'db');
  return attempts.map(({ retryAt }) => retryAt?.slice(11, 16) ?? retryAt);
}

describe('a scheduled backup that failed', () => {
  test('is tried again, and its record says whether more tries follow', async () => {
    const now = startLife(world, { outcome: () => 'failed' });
    expect(await now.at('2026-11-21T02:00:00Z')).toEqual(['db schedule']);
    expect(await now.at('2026-11-21T02:00:59Z')).toEqual([]);
    expect(await now.schedules.tick(Date.parse('2026-11-21T02:00:59Z'))).toBe(
      Date.parse('2026-11-21T02:01:00Z'),
    );
    for (const minute of ['01', '03', '07', '15']) {
      expect(await now.at(`2026-11-21T02:${minute}:00Z`)).toEqual(['db schedule']);
    }
    expect(await now.at('2026-11-21T12:00:00Z')).toEqual([]);
    expect(await retries()).toEqual([null, '02:15', '02:07', '02:03', '02:01']);
    expect(events.filter(({ type }) => type === 'retry-planned')).toHaveLength(4);
    expect(await now.at('2026-11-22T02:00:00Z')).toEqual(['db schedule']);
    expect((await retries())[0]).toBe('02:01');
  });

  test('is not tried again where it succeeded, or where somebody made one', async () => {
    let outcome: Outcome = 'failed';
    const now = startLife(world, { outcome: () => outcome });
    await now.at('2026-11-21T02:00:00Z');
    outcome = 'success';
    expect(await now.at('2026-11-21T02:01:00Z')).toEqual(['db schedule']);
    expect(await now.at('2026-11-21T02:30:00Z')).toEqual([]);
    outcome = 'failed';
    await now.at('2026-11-22T02:00:00Z');
    await addBackup(world, 'db', '2026-11-22T02:00:30Z');
    expect(await now.at('2026-11-22T02:01:00Z')).toEqual([]);
  });

  test('is not tried again where that does not help', async () => {
    const now = startLife(world, { outcome: () => 'failed', code: 'config-invalid' });
    await now.at('2026-11-21T02:00:00Z');
    expect(await now.at('2026-11-21T02:01:00Z')).toEqual([]);
    expect(await retries()).toEqual([null]);
  });

  test('is tried again by the next life, as often as was left', async () => {
    await startLife(world, { outcome: () => 'failed' }).at('2026-11-21T02:00:00Z');
    const next = startLife(world, { outcome: () => 'failed' });
    expect(await next.at('2026-11-21T02:00:30Z')).toEqual([]);
    expect(await next.at('2026-11-21T02:01:00Z')).toEqual(['db schedule']);
    const last = startLife(world, { outcome: () => 'failed' });
    expect(await last.at('2026-11-21T02:40:00Z')).toEqual(['db schedule']);
    expect(await retries()).toEqual(['02:44', '02:03', '02:01']);
  });

  test('and whose target was away for a moment, too', async () => {
    const now = startLife(world);
    await now.at('2026-11-21T01:59:00Z');
    const [db] = world.discovery.sources.splice(0);
    await now.schedules.tick(Date.parse('2026-11-21T02:00:00Z'));
    await now.idle();
    // A minute after the time that the clock of this test shows.
    expect(await retries()).toEqual(['02:00']);
    world.discovery.sources.push(db ?? source('db'));
    expect(await now.at('2026-11-21T02:02:00Z')).toEqual(['db schedule']);
  });
});
