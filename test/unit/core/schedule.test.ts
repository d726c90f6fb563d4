import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Schedule } from '../../../src/core/job.ts';
import { intervalMs, lastRunAt, nextRunAt, spread } from '../../../src/core/schedule.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

function schedule(patterns: string, timezone = 'UTC'): Schedule {
  return { patterns: patterns === '' ? [] : patterns.split(';'), timezone, catchUpMs: DAY_MS };
}

/** Every occurrence after `from` up to `to`, as ISO instants without seconds. */
function occurrences(of: Schedule, from: string, to: string): readonly string[] {
  const found: string[] = [];
  let atMs = nextRunAt(of, Date.parse(from));
  while (atMs !== null && atMs <= Date.parse(to)) {
    found.push(new Date(atMs).toISOString().slice(0, 16));
    atMs = nextRunAt(of, atMs);
  }
  return found;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

/** What the clock on the wall shows: `2026-03-08 02:30`. */
function wallTime(timezone: string, atMs: number): string {
  let clock = clocks.get(timezone);
  if (clock === undefined) {
    clock = new Intl.DateTimeFormat('sv-SE', {
      timeZone: timezone,
      dateStyle: 'short',
      timeStyle: 'short',
    });
    clocks.set(timezone, clock);
  }
  return clock.format(atMs);
}

/** The instant at which a daily schedule must run on the local day of `noonMs`, found by watching every minute pass. */
function expectedRun(timezone: string, noonMs: number, time: string): number {
  const day = wallTime(timezone, noonMs).slice(0, 10);
  for (let atMs = noonMs - 20 * HOUR_MS; atMs < noonMs + 20 * HOUR_MS; atMs += MINUTE_MS) {
    const shown = wallTime(timezone, atMs);
    if (shown.startsWith(day) && shown.slice(11) >= time) {
      return atMs;
    }
  }
  throw new Error(`no minute of ${day} is at or after ${time}`);
}

describe('changes of the clock', () => {
  test.each([
    // A time in the gap runs when the gap ends, the next day again at its own time.
    ['30 2 * * *', 'America/New_York', '2026-03-07T12:00Z', ['03-08T07:00', '03-09T06:30']],
    ['0 2 * * *', 'America/New_York', '2026-03-07T12:00Z', ['03-08T07:00', '03-09T06:00']],
    ['30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', ['03-29T01:00', '03-30T00:30']],
    ['15 2 * * *', 'Australia/Lord_Howe', '2026-10-03T00:00Z', ['10-03T15:30', '10-04T15:15']],
    // All that the gap swallowed is one run.
    [
      '*/20 2 * * *',
      'America/New_York',
      '2026-03-08T00:00Z',
      ['03-08T07:00', '03-09T06:00', '03-09T06:20', '03-09T06:40'],
    ],
    [
      '30 2 * * *;45 2 * * *;0 3 * * *',
      'America/New_York',
      '2026-03-08T00:00Z',
      ['03-08T07:00', '03-09T06:30', '03-09T06:45', '03-09T07:00'],
    ],
    // A time that the clock shows twice runs the first time.
    ['30 1 * * *', 'America/New_York', '2026-10-31T12:00Z', ['11-01T05:30', '11-02T06:30']],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', ['10-25T00:30', '10-26T01:30']],
    ['45 1 * * *', 'Australia/Lord_Howe', '2026-04-04T00:00Z', ['04-04T14:45', '04-05T15:15']],
    [
      '0,30 1,2 * * *',
      'America/New_York',
      '2026-11-01T00:00Z',
      [
        '11-01T05:00',
        '11-01T05:30',
        '11-01T07:00',
        '11-01T07:30',
        '11-02T06:00',
        '11-02T06:30',
        '11-02T07:00',
        '11-02T07:30',
      ],
    ],
    [
      '*/20 1 * * *',
      'America/New_York',
      '2026-11-01T00:00Z',
      ['11-01T05:00', '11-01T05:20', '11-01T05:40', '11-02T06:00', '11-02T06:20', '11-02T06:40'],
    ],
    [
      '0 */2 * * *',
      'America/New_York',
      '2026-03-08T04:30Z',
      ['03-08T05:00', '03-08T07:00', '03-08T08:00', '03-08T10:00'],
    ],
  ])('%s in %s after %s', (patterns, timezone, from, expected) => {
    const until = new Date(Date.parse(from) + 2.4 * DAY_MS).toISOString();
    const found = occurrences(schedule(patterns, timezone), from, until);
    expect(found.slice(0, expected.length)).toEqual(expected.map((at) => `2026-${at}`));
  });

  test.each([
    ['0 * * * *', HOUR_MS],
    ['0 0-23 * * *', HOUR_MS],
    ['@hourly', HOUR_MS],
    ['*/15 * * * *', 15 * MINUTE_MS],
  ])('%s goes by the time that passes', (patterns, distanceMs) => {
    for (const from of ['2026-03-08T03:59Z', '2026-11-01T03:59Z']) {
      const of = schedule(patterns, 'America/New_York');
      let atMs = nextRunAt(of, Date.parse(from)) ?? Number.NaN;
      for (let count = 0; count < 30; count += 1) {
        const next = nextRunAt(of, atMs);
        expect(next).toBe(atMs + distanceMs);
        atMs = next ?? Number.NaN;
      }
    }
  });

  test('a daily schedule runs once on every day, at its time or when the clock passes it', () => {
    const changes = [
      ['America/New_York', '2026-03-08'],
      ['America/New_York', '2026-11-01'],
      ['Europe/Berlin', '2026-03-29'],
      ['Europe/Berlin', '2026-10-25'],
      ['Australia/Lord_Howe', '2026-04-05'],
      ['Australia/Lord_Howe', '2026-10-04'],
      ['America/Havana', '2026-03-08'],
      ['Africa/Cairo', '2026-04-24'],
      ['Asia/Kolkata', '2026-07-01'],
    ] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...changes),
        fc.integer({ min: 0, max: 4 * 60 }),
        fc.integer({ min: -2, max: 1 }),
        ([timezone, date], minuteOfDay, dayOffset) => {
          const hour = Math.floor(minuteOfDay / 60);
          const minute = minuteOfDay % 60;
          const time = `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`;
          const of = schedule(`${minute} ${hour} * * *`, timezone);
          const noonMs =
            Date.parse(`${date}T12:00Z`) + dayOffset * DAY_MS - offsetAtNoon(timezone, date);
          const todayMs = expectedRun(timezone, noonMs, time);
          const tomorrowMs = expectedRun(timezone, noonMs + DAY_MS, time);
          expect(nextRunAt(of, todayMs - 1)).toBe(todayMs);
          expect(nextRunAt(of, todayMs)).toBe(tomorrowMs);
          expect(lastRunAt(of, tomorrowMs - 1)).toBe(todayMs);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('occurrences only ever increase, and the way back finds the same ones', () => {
    const patterns = [
      '0 2 * * *',
      '*/20 1,2 * * *',
      '*/7 * * * *',
      '15 */3 * * 1-5',
      '30 2 1 * *',
      '5 0-23/2 * * *',
    ];
    fc.assert(
      fc.property(
        fc.subarray(patterns, { minLength: 1 }),
        fc.constantFrom('America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'UTC'),
        fc.integer({ min: Date.parse('2026-01-01Z'), max: Date.parse('2027-01-01Z') }),
        (chosen, timezone, fromMs) => {
          const of = schedule(chosen.join(';'), timezone);
          let atMs = fromMs;
          for (let count = 0; count < 12; count += 1) {
            const next = nextRunAt(of, atMs) ?? Number.NaN;
            expect(next).toBeGreaterThan(atMs);
            expect(lastRunAt(of, next)).toBe(next);
            expect(lastRunAt(of, next - 1) ?? Number.NaN).toBeLessThanOrEqual(atMs);
            atMs = next;
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

function offsetAtNoon(timezone: string, date: string): number {
  const shown = Date.parse(
    `${wallTime(timezone, Date.parse(`${date}T12:00Z`)).replace(' ', 'T')}Z`,
  );
  return shown - Date.parse(`${date}T12:00Z`);
}

describe('patterns', () => {
  test('an empty schedule is off', () => {
    const off = schedule('');
    expect(nextRunAt(off, 0)).toBeNull();
    expect(lastRunAt(off, 0)).toBeNull();
    expect(intervalMs(off, 0)).toBeNull();
  });

  test.each([
    ['@daily', '2026-11-22T00:00'],
    ['30 0 2 * * *', '2026-11-22T02:00'],
    ['0 3 * * MON', '2026-11-23T03:00'],
    ['0 0 L * *', '2026-11-30T00:00'],
    ['10-20/5 4 * * *', '2026-11-22T04:10'],
  ])('%s', (patterns, expected) => {
    expect(occurrences(schedule(patterns), '2026-11-21T12:00Z', '2026-12-01T00:00Z')[0]).toBe(
      expected,
    );
  });
});

describe('a schedule that is spread', () => {
  const daily = schedule('0 2 * * *');

  test('runs always the same time later, up to the jitter, and each name another', () => {
    const delays = ['a/db', 'b/db', 'c/db'].map((name) => spread(daily, name, HOUR_MS).delayMs);
    expect(delays).toEqual(['a/db', 'b/db', 'c/db'].map((n) => spread(daily, n, HOUR_MS).delayMs));
    expect(new Set(delays).size).toBe(3);
    for (const delayMs of delays) {
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThanOrEqual(HOUR_MS);
    }
    expect(spread(daily, 'a/db', 0)).toBe(daily);
  });

  test('has every occurrence, shifted', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 * HOUR_MS }), fc.nat(400 * DAY_MS), (delayMs, at) => {
        const late = { ...daily, delayMs };
        expect(nextRunAt(late, at)).toBe((nextRunAt(daily, at - delayMs) ?? 0) + delayMs);
        expect(lastRunAt(late, at + DAY_MS)).toBe(
          (lastRunAt(daily, at + DAY_MS - delayMs) ?? 0) + delayMs,
        );
        expect(intervalMs(late, at + DAY_MS)).toBe(DAY_MS);
      }),
    );
  });
});
