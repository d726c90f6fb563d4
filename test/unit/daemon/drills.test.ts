import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Job } from '../../../src/core/job.ts';
import { keepDrills } from '../../../src/daemon/drills.ts';
import type { Loops } from '../../../src/daemon/loops.ts';
import { readDrillSchedule, saveDrillSchedule } from '../../../src/jobs/schedule-record.ts';
import { sampleApp, type SampleApp } from '../../support/app.ts';
import { emptyCatalog, sampleJob, type CatalogFixture } from '../../support/storage.ts';
import { waitFor } from '../../support/wait-for.ts';

const YEARLY = { patterns: ['0 0 1 1 *'], timezone: 'UTC', catchUpMs: 0 };

let here: CatalogFixture;
let app: SampleApp;

beforeEach(async () => {
  here = await emptyCatalog();
  app = sampleApp(here);
});
afterEach(async () => {
  await here[Symbol.asyncDispose]();
});

/** Lets the loop run until something is so. */
async function follow(
  changes: Partial<Job>,
  what: string,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const sources = [{ job: sampleJob({ drill: YEARLY, ...changes }) }];
  const loops = { app, log: pino({ level: 'silent' }), seen: { sources } } as unknown as Loops;
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
  ['handled', { firstSeenAtMs: 0, handledUntilMs: Date.parse('2300-01-01T00:00:00Z') }],
  ['seen first', { firstSeenAtMs: Date.parse('2300-01-01T00:00:00Z'), handledUntilMs: null }],
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
