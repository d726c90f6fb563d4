import { expect, test } from 'vitest';
import { parseInstant } from '../../../src/core/instant.ts';

test.each([
  ['2026-11-22T02:00Z', 'Europe/Berlin', '2026-11-22T02:00:00.000Z'],
  ['2026-11-22T02:00+01:00', 'UTC', '2026-11-22T01:00:00.000Z'],
  ['2026-11-22T02:00+01', 'UTC', '2026-11-22T01:00:00.000Z'],
  ['2026-11-22T02:00', 'UTC', '2026-11-22T02:00:00.000Z'],
  ['2026-11-22 02:00', 'Europe/Berlin', '2026-11-22T01:00:00.000Z'],
  ['2026-07-22T02:00:30', 'Europe/Berlin', '2026-07-22T00:00:30.000Z'],
  ['2026-11-22', 'America/New_York', '2026-11-22T05:00:00.000Z'],
  ['2026-11-22T02:00', 'Asia/Kolkata', '2026-11-21T20:30:00.000Z'],
])('%s in %s is %s', (text, timezone, expected) => {
  expect(parseInstant(text, timezone)?.from.toISOString()).toBe(expected);
});

test('a time that the clock shows twice is the later one', () => {
  expect(parseInstant('2026-10-25T02:30', 'Europe/Berlin')?.from.toISOString()).toBe(
    '2026-10-25T01:30:00.000Z',
  );
});

test('a time that the clock skips is as long after the skip', () => {
  expect(parseInstant('2026-03-29T02:30', 'Europe/Berlin')?.from.toISOString()).toBe(
    '2026-03-29T01:30:00.000Z',
  );
});

test.each(['', 'yesterday', '2026', '2026-13-01', '2026-02-30T00:00', '2026-11-22T25:00', '02:00'])(
  '%j is no instant',
  (text) => {
    expect(parseInstant(text, 'UTC')).toBeNull();
  },
);

test.each([
  ['2026-11-22T02:00', '2026-11-22T02:00:59.999Z'],
  ['2026-11-22T02:00+01:00', '2026-11-22T01:00:59.999Z'],
  ['2026-11-22T02:00:05Z', '2026-11-22T02:00:05.999Z'],
  ['2026-11-22 02:00:05.2', '2026-11-22T02:00:05.200Z'],
  ['2026-11-22', '2026-11-22T00:00:00.000Z'],
])('%s goes to %s', (text, until) => {
  expect(parseInstant(text, 'UTC')?.until.toISOString()).toBe(until);
});
