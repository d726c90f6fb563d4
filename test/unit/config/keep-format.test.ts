import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keep } from '../../../src/config/keep-format.ts';
import type { RetentionPolicy } from '../../../src/core/job.ts';

const NOTHING = { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, withinMs: 0 };

describe('keep', () => {
  it('reads every rule', () => {
    expect(keep.parse('last=1 hourly=24 daily=7 weekly=4 monthly=12 yearly=5 within=30d')).toEqual({
      all: false,
      last: 1,
      hourly: 24,
      daily: 7,
      weekly: 4,
      monthly: 12,
      yearly: 5,
      withinMs: 30 * 86_400_000,
    });
  });

  it('keeps nothing by a rule that is absent', () => {
    expect(keep.parse('daily=7')).toEqual({ ...NOTHING, all: false, daily: 7 });
  });

  it('reads all', () => {
    expect(keep.parse(' all ')).toEqual({ all: true });
  });

  it('takes any white space', () => {
    expect(keep.parse('\n  daily=7\n\tweekly=4 ')).toEqual({
      ...NOTHING,
      all: false,
      daily: 7,
      weekly: 4,
    });
  });

  it.each([
    ['', 'it is empty'],
    ['   ', 'it is empty'],
    ['daily=0 within=0', 'it keeps nothing'],
    ['daily=7 daily=8', 'daily= is there twice'],
    ['dialy=7', '"dialy=7" is no rule, perhaps daily= was meant'],
    ['all daily=7', '"all" is no rule'],
    ['daily', '"daily" is no rule, perhaps daily= was meant'],
    ['daily=', '"daily=" needs a whole number'],
    ['daily=-1', '"daily=-1" needs a whole number'],
    ['daily=1.5', '"daily=1.5" needs a whole number'],
    ['daily=7d', '"daily=7d" needs a whole number'],
    ['daily=9999999999', '"daily=9999999999" needs a whole number'],
    ['within=30', '"within=30" needs a duration such as 30d'],
    ['within=', '"within=" needs a duration such as 30d'],
    ['daily=7,weekly=4', '"daily=7,weekly=4" needs a whole number'],
  ])('refuses "%s"', (text, message) => {
    expect(() => keep.parse(text)).toThrow(message);
  });

  it('reads back every policy', () => {
    const count = fc.nat({ max: 999_999_999 });
    const policy = fc
      .record({
        all: fc.constant(false as const),
        last: count,
        hourly: count,
        daily: count,
        weekly: count,
        monthly: count,
        yearly: count,
        withinMs: count,
      })
      .filter((rules) => Object.values(rules).some((value) => Number(value) > 0));
    fc.assert(
      fc.property(policy, (wanted) => {
        expect(keep.parse(write(wanted))).toEqual(wanted);
      }),
    );
  });
});

function write(policy: Exclude<RetentionPolicy, { all: true }>): string {
  const counts = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
  return [`within=${policy.withinMs}ms`, ...counts.map((name) => `${name}=${policy[name]}`)].join(
    ' ',
  );
}
