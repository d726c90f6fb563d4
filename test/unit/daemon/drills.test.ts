import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Job } from '../../../src/core/job.ts';
import { keepDrills } from '../../../src/daemon/drills.ts';
import type { Loops } from '../../../src/daemon/loops.ts';
import { readDrillSchedule, saveDrillSchedule } from '../../../src/jobs/schedule-record.ts';
import { acquireDrillLock, type Lock } from '../../../src/store/lock.ts';
import { sampleApp, type SampleApp } from '../../support/app.ts';
import { emptyCatalog, sampleJob, type CatalogFixture } from '../../support/storage.ts';
import { waitFor } from '../../support/wait-for.ts';

const OFTEN = { patterns: ['* * * * * *'], timezone: 'UTC', catchUpMs: 3_600_000 };
const YEARLY = { patterns: ['0 0 1 1 *'], timezone: 'UTC', catchUpMs: 0 };

let here: CatalogFixture;
let app: SampleApp;
let logged: string;

beforeEach(async () => {
  here = await emptyCatalog();
  app = sampleApp(here);
  logged = '';
});
afterEach(async () => {
  await here[Symbol.asyncDispose]();
});

/** Lets the loop run until something is so. */
async function follow(
  changes: Partial<Job>,
  what: string,
  isSo: () => boolean | Promise<boolean>,
  others: readonly string[] = [],
): Promise<void> {
  const job = sampleJob({ drill: YEARLY, ...changes });
  const sources = [{ job }, ...others.map((source) => ({ job: { ...job, source } }))];
  const log = pino({ base: null }, { write: (line: string) => (logged += line) });
  const loops = { app, log, seen: { sources } } as unknown as Loops;
  const ending = new AbortController();
  const ended = keepDrills(loops, ending.signal);
  try {
    await waitFor(what, isSo, 20_000);
  } finally {
    ending.abort();
    await ended;
  }
}

test.each([
  ['handled', { firstSeenAtMs: 0, handledUntilMs: Date.parse('2300-01-01T00:00:00Z'), begun: 0 }],
  [
    'seen first',
    { firstSeenAtMs: Date.parse('2300-01-01T00:00:00Z'), handledUntilMs: null, begun: 0 },
  ],
])('what a clock far ahead has %s is forgotten, once', async (_, state) => {
  const { dir } = here;
  await saveDrillSchedule(dir, 'db', state);
  const before = Date.now();
  await follow({}, 'end of what is ahead', async () => {
    const { handledUntilMs } = (await readDrillSchedule(dir, 'db')) ?? {};
    return (handledUntilMs ?? Infinity) <= Date.now();
  });
  const first = await readDrillSchedule(dir, 'db');
  expect(first?.handledUntilMs).toBeGreaterThanOrEqual(before);
  expect(first?.firstSeenAtMs).toBeLessThanOrEqual(first?.handledUntilMs ?? 0);
});

/** Of a source that is due, while this command has the lock of its drills. */
async function dueWhile(command: string): Promise<number | null> {
  const { dir } = here;
  await saveDrillSchedule(dir, 'db', { firstSeenAtMs: 0, handledUntilMs: null, begun: 0 });
  const request = { command, waitMs: 0 };
  await using _lock: Lock = await acquireDrillLock(dir, 'db', request, AbortSignal.timeout(5000));
  await follow({ drill: OFTEN }, 'drill', () => logged.includes('drill not made'));
  return (await readDrillSchedule(dir, 'db'))?.handledUntilMs ?? null;
}

test('a drill that somebody makes by hand at that moment is the one of the schedule', async () => {
  expect(await dueWhile('drill db')).not.toBeNull();
});

test('a drill that could not be begun stays due: who only clears up has the lock for a moment', async () => {
  expect(await dueWhile('drill: clearing up after drills')).toBeNull();
});

test('a drill that says why it cannot be tried is done with', async () => {
  const { dir } = here;
  await saveDrillSchedule(dir, 'db', { firstSeenAtMs: 0, handledUntilMs: null, begun: 0 });
  await follow({ drill: OFTEN }, 'drill', async () => {
    const { handledUntilMs } = (await readDrillSchedule(dir, 'db')) ?? {};
    return (handledUntilMs ?? 0) > 0;
  });
  expect(app.events.at(0)).toMatchObject({ report: { failure: { code: 'backup-not-found' } } });
});

test('what drills leave that die meanwhile is removed every hour', async () => {
  let looks = 0;
  Object.assign(app, {
    scratches: {
      ...app.scratches,
      left() {
        looks += 1;
        return Promise.resolve([]);
      },
    },
  });
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    await follow({ drill: OFTEN }, 'second look', () => {
      if (looks === 1) {
        vi.advanceTimersByTime(3_600_001);
      }
      return looks === 2;
    });
  } finally {
    vi.useRealTimers();
  }
});

/** Of a source that is due, and was begun so often without coming to an end. */
async function dueAfter(begun: number, ask: () => Promise<void>): Promise<void> {
  const { dir } = here;
  await saveDrillSchedule(dir, 'db', { firstSeenAtMs: 0, handledUntilMs: null, begun });
  const left = { left: () => Promise.resolve([]) };
  Object.assign(app, { scratches: { ...app.scratches, ...left, sweep: ask } });
  await follow({ drill: OFTEN }, 'drill', async () => {
    const { handledUntilMs } = (await readDrillSchedule(dir, 'db')) ?? {};
    return (handledUntilMs ?? 0) > 0;
  });
}

test('a drill is written down before it begins, and is as if it had never begun once it ended', async () => {
  const begun: unknown[] = [];
  await dueAfter(2, async () => {
    begun.push((await readDrillSchedule(here.dir, 'db'))?.begun);
  });
  expect(begun[0]).toBe(3);
  expect((await readDrillSchedule(here.dir, 'db'))?.begun).toBe(0);
  expect(logged).not.toContain('left out');
});

test('a drill that ended with the daemon three times in a row is left to the schedule', async () => {
  await dueAfter(3, () => Promise.resolve());
  expect(logged).toContain('drill left out');
  expect((await readDrillSchedule(here.dir, 'db'))?.begun).toBe(0);
});

test('a drill that waits for those before it is not too late', async () => {
  const { dir } = here;
  const state = { firstSeenAtMs: 0, handledUntilMs: null, begun: 0 };
  await saveDrillSchedule(dir, 'db', state);
  await saveDrillSchedule(dir, 'wiki', state);
  const second = Promise.withResolvers<boolean>();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2026-11-01T04:00:01Z') });
  try {
    const scratches = {
      ...app.scratches,
      sweep(source: string) {
        if (source === 'wiki') {
          second.resolve(true);
        }
        vi.setSystemTime(Date.parse('2026-11-01T06:00:00Z'));
        return Promise.resolve(0);
      },
    };
    Object.assign(app, { scratches });
    const drill = { ...YEARLY, patterns: ['0 4 1 * *'] };
    await follow({ drill }, 'drill of the second', () => second.promise, ['wiki']);
  } finally {
    vi.useRealTimers();
  }
});
