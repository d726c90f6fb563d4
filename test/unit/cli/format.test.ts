import { describe, expect, it } from 'vitest';
import {
  formatAge,
  formatInstant,
  formatOptionalSize,
  formatSize,
} from '../../../src/cli/format.ts';

describe('formatSize', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [12_345_678, '12.3 MB'],
    [999_949, '999.9 kB'],
    [999_950, '1.0 MB'],
    [999_999_999, '1.0 GB'],
    [5e18, '5000.0 PB'],
  ])('%i is %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });

  it('says nothing of an unknown size', () => {
    expect(formatOptionalSize(null)).toBe('-');
    expect(formatOptionalSize(1)).toBe('1 B');
  });
});

describe('instants', () => {
  const now = Date.parse('2026-11-22T05:12:30Z');
  it.each([
    ['2026-11-22T02:00:00.000Z', '3h 12m', '2026-11-22 02:00:00Z'],
    ['2026-11-22T06:00:00Z', '0s', '2026-11-22 06:00:00Z'],
    [null, '-', '-'],
  ])('%s is %s ago', (at, age, text) => {
    expect(formatAge(at, now)).toBe(age);
    expect(formatInstant(at)).toBe(text);
  });
});
