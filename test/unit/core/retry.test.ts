import { expect, test } from 'vitest';
import { nextTry, triesInRow, type FailedTry } from '../../../src/core/retry.ts';

const MINUTE_MS = 60_000;

function failed(changes: Partial<FailedTry> = {}): FailedTry {
  return {
    trigger: 'schedule',
    code: 'dump-failed',
    number: 1,
    endedAtMs: 0,
    nextRunAtMs: 24 * 60 * MINUTE_MS,
    ...changes,
  };
}

test('what may pass by itself is tried again, twice as late each time, four times', () => {
  const tries = [1, 2, 3, 4, 5].map((number) => nextTry(failed({ number })));
  expect(tries).toEqual([
    { atMs: MINUTE_MS, counts: false },
    { atMs: 2 * MINUTE_MS, counts: false },
    { atMs: 4 * MINUTE_MS, counts: false },
    { atMs: 8 * MINUTE_MS, counts: false },
    null,
  ]);
});

test('what does not pass by itself counts at once', () => {
  expect(nextTry(failed({ code: 'config-invalid' }))).toBeNull();
});

test('nothing is tried again that the schedule has run by then', () => {
  expect(nextTry(failed({ nextRunAtMs: MINUTE_MS }))).toBeNull();
  expect(nextTry(failed({ nextRunAtMs: MINUTE_MS + 1 }))).not.toBeNull();
  expect(nextTry(failed({ nextRunAtMs: null }))).not.toBeNull();
});

test('a first backup is tried for ever, at least every hour, and counts as failed meanwhile', () => {
  const first = failed({ trigger: 'first' });
  expect(nextTry({ ...first, number: 1 })).toEqual({ atMs: MINUTE_MS, counts: false });
  expect(nextTry({ ...first, number: 5 })).toEqual({ atMs: 16 * MINUTE_MS, counts: true });
  expect(nextTry({ ...first, number: 99 })).toEqual({ atMs: 60 * MINUTE_MS, counts: true });
  expect(nextTry({ ...first, code: 'config-invalid' })).toMatchObject({ counts: true });
});

test('tries are counted up to the last one that was not to be followed by another', () => {
  expect(triesInRow([])).toBe(0);
  expect(triesInRow([{ retryAt: 'x' }, { retryAt: 'x' }, {}, { retryAt: 'x' }])).toBe(2);
  expect(triesInRow([{ retryAt: null }, { retryAt: 'x' }])).toBe(0);
});
