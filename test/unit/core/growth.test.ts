import { expect, test } from 'vitest';
import { settledBackups } from '../../../src/core/growth.ts';
import { policy, type Rules } from './retention-samples.ts';

const NOW_MS = Date.UTC(2026, 10, 28, 12);

function settled(pattern: string, rules: Partial<Rules>): number | null {
  const schedule = { patterns: [pattern], timezone: 'UTC', catchUpMs: 0 };
  return settledBackups({ schedule, keep: policy(rules) }, NOW_MS);
}

test.each<[string, string, Partial<Rules>, number]>([
  ['so many of the last', '0 2 * * *', { last: 7 }, 7],
  ['one an hour where there is one a day: days', '0 2 * * *', { hourly: 24 }, 24],
  ['one a day of many', '*/10 * * * *', { daily: 7 }, 7],
  ['all that are young enough', '0 * * * *', { withinMs: 86_400_000 }, 25],
])('%s', (_, pattern, rules, count) => {
  expect(settled(pattern, rules)).toBe(count);
});

test('rules overlap, and reach back for years', () => {
  const count = settled('0 2 * * *', { hourly: 24, daily: 7, weekly: 4, monthly: 12 }) ?? 0;
  expect(count).toBeGreaterThan(33);
  expect(count).toBeLessThanOrEqual(24 + 4 + 12);
});

test('there is no end where everything is kept, and none where nothing runs', () => {
  const schedule = { patterns: ['0 2 * * *'], timezone: 'UTC', catchUpMs: 0 };
  expect(settledBackups({ schedule, keep: { all: true } }, NOW_MS)).toBeNull();
  const off = { ...schedule, patterns: [] };
  expect(settledBackups({ schedule: off, keep: policy({ last: 3 }) }, NOW_MS)).toBeNull();
});
