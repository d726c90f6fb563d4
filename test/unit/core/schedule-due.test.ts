import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Schedule } from '../../../src/core/job.ts';
import {
  dueRun,
  followClock,
  intervalMs,
  lastRunAt,
  maxAgeMs,
} from '../../../src/core/schedule.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

function schedule(patterns: string, timezone = 'UTC', catchUpMs = DAY_MS): Schedule {
  return { patterns: patterns === '' ? [] : patterns.split(';'), timezone, catchUpMs };
}

describe('interval and maximum age', () => {
  const at = Date.parse('2026-11-20T02:00:05Z'); // a Friday

  test.each([
    ['0 2 * * *', DAY_MS],
    ['0 * * * *', HOUR_MS],
    ['0 2 * * 1-5', 3 * DAY_MS],
    ['0 2 * * *;0 14 * * *', 12 * HOUR_MS],
    ['0 2 1 * *', 30 * DAY_MS],
  ])('%s', (patterns, expectedMs) => {
    expect(intervalMs(schedule(patterns), at)).toBe(expectedMs);
    expect(maxAgeMs({ schedule: schedule(patterns), maxAge: { intervals: 1.5 } }, at)).toBe(
      expectedMs * 1.5,
    );
  });

  test('a schedule of working days is judged by the day', () => {
    const monday = Date.parse('2026-11-16T02:00:05Z');
    expect(intervalMs(schedule('0 2 * * 1-5'), monday)).toBe(DAY_MS);
  });

  test('a duration holds whatever the schedule is, off included', () => {
    expect(maxAgeMs({ schedule: schedule(''), maxAge: { ms: 26 * HOUR_MS } }, at)).toBe(
      26 * HOUR_MS,
    );
    expect(maxAgeMs({ schedule: schedule(''), maxAge: { intervals: 1.5 } }, at)).toBeNull();
  });
});

describe('what is due', () => {
  const daily = schedule('0 2 * * *');
  const firstSeenAtMs = Date.parse('2026-11-01T12:00Z');

  function due(
    handledUntil: string | null,
    now: string,
    of = daily,
  ): readonly [string, string] | null {
    const handledUntilMs = handledUntil === null ? null : Date.parse(handledUntil);
    const run = dueRun(of, { firstSeenAtMs, handledUntilMs }, Date.parse(now));
    return run === null ? null : [new Date(run.atMs).toISOString().slice(0, 16), run.kind];
  }

  test.each([
    ['before its time', '2026-11-20T02:00Z', '2026-11-21T01:59:59Z', null],
    [
      'on the second',
      '2026-11-20T02:00Z',
      '2026-11-21T02:00:00Z',
      ['2026-11-21T02:00', 'schedule'],
    ],
    [
      'when a look came half a minute late',
      '2026-11-20T02:00Z',
      '2026-11-21T02:00:30Z',
      ['2026-11-21T02:00', 'schedule'],
    ],
    ['not again', '2026-11-21T02:00Z', '2026-11-21T02:00:30Z', null],
    [
      'after a downtime',
      '2026-11-20T02:00Z',
      '2026-11-21T09:00Z',
      ['2026-11-21T02:00', 'catch-up'],
    ],
    [
      'after days of downtime once, the last one',
      '2026-11-10T02:00Z',
      '2026-11-21T09:00Z',
      ['2026-11-21T02:00', 'catch-up'],
    ],
    ['nothing before the source was there', null, '2026-11-01T12:00:10Z', null],
    [
      'the first occurrence after that',
      null,
      '2026-11-02T02:00:10Z',
      ['2026-11-02T02:00', 'schedule'],
    ],
  ])('%s', (_name, handledUntil, now, expected) => {
    expect(due(handledUntil, now)).toEqual(expected);
  });

  test('what is later than the catch-up is not made up for', () => {
    const strict = schedule('0 2 * * *', 'UTC', HOUR_MS);
    expect(due('2026-11-20T02:00Z', '2026-11-21T03:00Z', strict)).toEqual([
      '2026-11-21T02:00',
      'catch-up',
    ]);
    expect(due('2026-11-20T02:00Z', '2026-11-21T03:00:01Z', strict)).toBeNull();
    expect(
      due('2026-11-20T02:00Z', '2026-11-21T02:00:10Z', schedule('0 2 * * *', 'UTC', 0)),
    ).toEqual(['2026-11-21T02:00', 'schedule']);
  });

  test('a clock set back does not run an occurrence twice', () => {
    const state = { firstSeenAtMs, handledUntilMs: Date.parse('2026-11-21T02:00Z') };
    const now = Date.parse('2026-11-21T01:30Z');
    expect(followClock(daily, state, now)).toBe(state);
    expect(dueRun(daily, state, Date.parse('2026-11-21T02:00Z'))).toBeNull();
    expect(dueRun(daily, state, Date.parse('2026-11-22T02:00Z'))?.kind).toBe('schedule');
  });

  test('a clock that was days ahead does not stall it', () => {
    const wrong = {
      firstSeenAtMs: Date.parse('2027-05-01Z'),
      handledUntilMs: Date.parse('2027-06-01T02:00Z'),
    };
    const now = Date.parse('2026-11-21T12:00Z');
    const state = followClock(daily, wrong, now);
    expect(state).toEqual({ firstSeenAtMs: now, handledUntilMs: now });
    expect(dueRun(daily, state, Date.parse('2026-11-22T02:00Z'))?.kind).toBe('schedule');
    expect(
      followClock(daily, { firstSeenAtMs: wrong.firstSeenAtMs, handledUntilMs: null }, now),
    ).toEqual(state);
  });

  test('whatever the clock does, an occurrence is due at most once for every time it comes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 40 * MINUTE_MS }), { minLength: 1, maxLength: 60 }),
        fc.constantFrom('0 * * * *', '*/15 * * * *', '0 2 * * *'),
        (stepsMs, pattern) => {
          const of = schedule(pattern, 'America/New_York');
          let nowMs = Date.parse('2026-11-01T03:00Z');
          const startMs = nowMs;
          let state = { firstSeenAtMs: nowMs, handledUntilMs: nowMs };
          const ran: number[] = [];
          for (const stepMs of stepsMs) {
            nowMs += stepMs;
            const run = dueRun(of, followClock(of, state, nowMs), nowMs);
            if (run !== null) {
              ran.push(run.atMs);
              state = { ...state, handledUntilMs: run.atMs };
            }
          }
          expect(ran).toEqual([...new Set(ran)].toSorted((one, other) => one - other));
          expect(state.handledUntilMs).toBe(Math.max(lastRunAt(of, nowMs) ?? 0, startMs));
        },
      ),
      { numRuns: 80 },
    );
  });
});
