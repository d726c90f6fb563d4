import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideRetention, type Candidate } from '../../../src/core/retention.ts';
import { candidate, DAY_MS, policy, type Rules } from './retention-samples.ts';

describe('whatever there is', () => {
  const anyCandidates = fc
    .array(
      fc.record({
        atMs: fc.integer({ min: Date.parse('2025-06-01Z'), max: Date.parse('2026-12-01Z') }),
        flaw: fc.constantFrom(null, null, null, 'suspicious', 'damaged'),
        pinned: fc.boolean(),
      }),
      { maxLength: 40 },
    )
    .map((list) =>
      list.map(({ atMs, flaw, pinned }, index) =>
        candidate(new Date(atMs).toISOString(), flaw, pinned && index % 5 === 0),
      ),
    );
  const anyCount = fc.integer({ min: 0, max: 8 });
  const anyRules = fc.record({
    last: anyCount,
    hourly: anyCount,
    daily: anyCount,
    weekly: anyCount,
    monthly: anyCount,
    yearly: anyCount,
    withinMs: fc.integer({ min: 0, max: 90 * DAY_MS }),
  });
  const anyZone = fc.constantFrom('UTC', 'America/New_York', 'Australia/Lord_Howe');

  function keptOf(
    candidates: readonly Candidate[],
    rules: Rules,
    timezone: string,
  ): readonly Candidate[] {
    const verdicts = decideRetention(candidates, policy(rules), timezone);
    const ids = new Set(verdicts.filter(({ keep }) => keep).map(({ id }) => id));
    return candidates.filter(({ id }) => ids.has(id));
  }

  test('every backup gets one verdict with a reason; the newest good one and pins stay', () => {
    fc.assert(
      fc.property(anyCandidates, anyRules, anyZone, (candidates, rules, timezone) => {
        const verdicts = decideRetention(candidates, policy(rules), timezone);
        expect(verdicts.map(({ id }) => id).toSorted()).toEqual(
          candidates.map(({ id }) => id).toSorted(),
        );
        expect(verdicts.every(({ reasons }) => reasons.length > 0)).toBe(true);
        const ids = new Set(verdicts.filter(({ keep }) => keep).map(({ id }) => id));
        const good = candidates.filter((entry) => entry.good);
        const newestMs = Math.max(...good.map((entry) => Date.parse(entry.startedAt)));
        expect(
          good.length === 0 ||
            good.some((one) => Date.parse(one.startedAt) === newestMs && ids.has(one.id)),
        ).toBe(true);
        expect(candidates.every(({ id, pinned }) => !pinned || ids.has(id))).toBe(true);
      }),
    );
  });

  test('does not depend on the order of the entries', () => {
    fc.assert(
      fc.property(anyCandidates, anyRules, anyZone, (candidates, rules, timezone) => {
        expect(decideRetention(candidates.toReversed(), policy(rules), timezone)).toEqual(
          decideRetention(candidates, policy(rules), timezone),
        );
      }),
    );
  });

  test('a second time removes nothing more', () => {
    fc.assert(
      fc.property(anyCandidates, anyRules, anyZone, (candidates, rules, timezone) => {
        const once = keptOf(candidates, rules, timezone);
        expect(keptOf(once, rules, timezone)).toEqual(once);
      }),
    );
  });

  test('a more generous policy keeps at least as much', () => {
    fc.assert(
      fc.property(
        anyCandidates,
        anyRules,
        fc.constantFrom('last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly', 'withinMs'),
        fc.integer({ min: 1, max: 5 }),
        (candidates, rules, rule, more) => {
          const amount = rules[rule] + (rule === 'withinMs' ? more * DAY_MS : more);
          const generous = new Set(keptOf(candidates, { ...rules, [rule]: amount }, 'UTC'));
          expect(keptOf(candidates, rules, 'UTC').every((entry) => generous.has(entry))).toBe(true);
        },
      ),
    );
  });

  test('what is not good never makes a good one go', () => {
    fc.assert(
      fc.property(anyCandidates, anyRules, anyZone, (candidates, rules, timezone) => {
        const good = candidates.filter((entry) => entry.good);
        expect(keptOf(candidates, rules, timezone).filter((entry) => entry.good)).toEqual(
          keptOf(good, rules, timezone),
        );
      }),
    );
  });
});
