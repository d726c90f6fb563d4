import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RetentionPolicy } from '../../../src/core/job.ts';
import { formatBackupId } from '../../../src/core/layout.ts';
import type { CatalogEntry, Manifest, Receipt } from '../../../src/core/manifest.ts';
import {
  decideRetention,
  isMassRemoval,
  toCandidate,
  type Candidate,
} from '../../../src/core/retention.ts';

const DAY_MS = 86_400_000;
type Rules = Omit<Extract<RetentionPolicy, { all: false }>, 'all'>;

function policy(rules: Partial<Rules>): RetentionPolicy {
  const none = { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, withinMs: 0 };
  return { all: false, ...none, ...rules };
}

let serial = 0;

function candidate(startedAt: string, flaw: string | null = null, pinned = false): Candidate {
  serial = (serial + 1) % 65_536;
  const suffix = serial.toString(16).padStart(4, '0');
  const id = formatBackupId({ startedAt: new Date(startedAt), kind: 'full', suffix });
  return { id, startedAt, good: flaw === null, flaw, pinned };
}

/** What is kept with its reasons, by the beginning of the instant: `11-22T02:00`. */
function kept(
  candidates: readonly Candidate[],
  rules: RetentionPolicy,
  timezone = 'UTC',
): Readonly<Record<string, readonly string[]>> {
  const startedAt = new Map(candidates.map((entry) => [entry.id, entry.startedAt]));
  const result: Record<string, readonly string[]> = {};
  for (const { id, keep, reasons } of decideRetention(candidates, rules, timezone)) {
    if (keep) {
      result[startedAt.get(id)?.slice(5, 16) ?? id] = reasons;
    }
  }
  return result;
}

describe('slots', () => {
  test('keeps the newest of each slot, as many slots back as are counted', () => {
    const entries = ['11-22T14:30', '11-22T14:05', '11-22T02:00', '11-21T02:00', '11-19T02:00'].map(
      (at) => candidate(`2026-${at}:00Z`),
    );
    expect(kept(entries, policy({ daily: 3 }))).toEqual({
      '11-22T14:30': ['last good backup', 'daily (2026-11-22)'],
      '11-21T02:00': ['daily (2026-11-21)'],
      '11-19T02:00': ['daily (2026-11-19)'],
    });
    expect(Object.keys(kept(entries, policy({ hourly: 2 })))).toEqual([
      '11-22T14:30',
      '11-22T02:00',
    ]);
    expect(Object.keys(kept(entries, policy({ last: 2 })))).toEqual(['11-22T14:30', '11-22T14:05']);
  });

  test('says that nothing keeps the others', () => {
    const entries = [candidate('2026-11-22T02:00:00Z'), candidate('2026-11-21T02:00:00Z')];
    expect(decideRetention(entries, policy({ last: 1 }), 'UTC')).toEqual([
      { id: entries[0]?.id, keep: true, reasons: ['last good backup', 'last 1'] },
      { id: entries[1]?.id, keep: false, reasons: ['nothing keeps it'] },
    ]);
  });

  test.each([
    ['2026-12-31T12:00:00Z', '2026-W53'],
    ['2027-01-03T12:00:00Z', '2026-W53'],
    ['2027-01-04T12:00:00Z', '2027-W01'],
    ['2024-12-30T12:00:00Z', '2025-W01'],
    ['2021-01-01T12:00:00Z', '2020-W53'],
    ['2026-11-22T12:00:00Z', '2026-W47'],
  ])('%s is in ISO week %s', (startedAt, week) => {
    const reasons = kept([candidate(startedAt)], policy({ weekly: 1 }))[startedAt.slice(5, 16)];
    expect(reasons).toContain(`weekly (${week})`);
  });

  test('days are those of the configured time zone', () => {
    const entries = [candidate('2026-11-22T06:00:00Z'), candidate('2026-11-22T04:00:00Z')];
    expect(Object.keys(kept(entries, policy({ daily: 5 }), 'UTC'))).toHaveLength(1);
    expect(kept(entries, policy({ daily: 5 }), 'America/New_York')).toEqual({
      '11-22T06:00': ['last good backup', 'daily (2026-11-22)'],
      '11-22T04:00': ['daily (2026-11-21)'],
    });
  });

  test('the two hours of one name when the clock is set back are two', () => {
    const entries = [candidate('2026-11-01T06:30:00Z'), candidate('2026-11-01T05:30:00Z')];
    expect(Object.keys(kept(entries, policy({ hourly: 2 }), 'America/New_York'))).toHaveLength(2);
  });

  test('one backup can be kept by several rules', () => {
    const entries = [candidate('2026-11-22T02:00:00Z')];
    expect(kept(entries, policy({ hourly: 1, monthly: 1, yearly: 1 }))).toEqual({
      '11-22T02:00': [
        'last good backup',
        'hourly (2026-11-22 02h+00:00)',
        'monthly (2026-11)',
        'yearly (2026)',
      ],
    });
  });

  test('all keeps everything', () => {
    const entries = [candidate('2026-11-22T02:00:00Z'), candidate('2020-01-01T02:00:00Z')];
    expect(decideRetention(entries, { all: true }, 'UTC').every(({ keep }) => keep)).toBe(true);
  });
});

describe('within', () => {
  test('counts back from the newest good backup, not from now', () => {
    const entries = ['2020-02-01', '2020-01-30', '2020-01-02', '2020-01-01'].map((day) =>
      candidate(`${day}T02:00:00Z`),
    );
    expect(kept(entries, policy({ withinMs: 30 * DAY_MS }))).toEqual({
      '02-01T02:00': ['last good backup', 'within 30d'],
      '01-30T02:00': ['within 30d'],
      '01-02T02:00': ['within 30d'],
    });
  });
});

describe('backups that are not good', () => {
  test('never take the place of a good one, and stay as long as a good one would', () => {
    const entries = [
      candidate('2026-11-22T20:00:00Z', 'suspicious'),
      candidate('2026-11-22T02:00:00Z'),
      candidate('2026-11-21T02:00:00Z'),
      candidate('2026-11-21T01:00:00Z', 'damaged'),
      candidate('2026-11-20T02:00:00Z', 'suspicious'),
    ];
    expect(kept(entries, policy({ daily: 2 }))).toEqual({
      '11-22T20:00': ['newest backup, suspicious', 'daily (2026-11-22), suspicious'],
      '11-22T02:00': ['last good backup', 'daily (2026-11-22)'],
      '11-21T02:00': ['daily (2026-11-21)'],
      '11-21T01:00': ['daily (2026-11-21), damaged'],
    });
  });

  test('the last good one stays under any number of suspicious ones, of which no more than the count stay', () => {
    const suspicious = Array.from({ length: 30 }, (_, index) =>
      candidate(new Date(Date.parse('2026-11-22Z') - index * DAY_MS).toISOString(), 'suspicious'),
    );
    const good = candidate('2026-01-01T02:00:00Z');
    const verdicts = decideRetention([...suspicious, good], policy({ daily: 3 }), 'UTC');
    expect(verdicts.filter(({ keep }) => keep)).toHaveLength(4);
    expect(verdicts.at(-1)).toMatchObject({ id: good.id, keep: true });
  });

  test('a window ends at the newest good one, whatever came after it', () => {
    const entries = [
      candidate('2026-11-22T02:00:00Z', 'suspicious'),
      candidate('2026-11-10T02:00:00Z'),
      candidate('2026-11-09T02:00:00Z'),
    ];
    expect(Object.keys(kept(entries, policy({ withinMs: 2 * DAY_MS })))).toHaveLength(3);
  });

  test('where none is good the newest stays, and windows end at it', () => {
    const entries = [
      candidate('2026-11-22T02:00:00Z', 'damaged'),
      candidate('2026-11-01T02:00:00Z', 'damaged'),
    ];
    expect(kept(entries, policy({ withinMs: DAY_MS }))).toEqual({
      '11-22T02:00': ['newest backup, damaged', 'within 1d, damaged'],
    });
  });
});

describe('mass removal', () => {
  test.each([
    [8, 4, false],
    [7, 4, true],
    [4, 3, false],
    [5, 4, true],
    [100, 50, false],
    [100, 51, true],
    [0, 0, false],
  ])('of %i backups %i go: %s', (total, removed, held) => {
    const verdicts = Array.from({ length: total }, (_, index) => ({
      id: candidate('2026-11-22T02:00:00Z').id,
      keep: index >= removed,
      reasons: [],
    }));
    expect(isMassRemoval(verdicts)).toBe(held);
  });
});

test('a candidate says what a catalog entry is', () => {
  const manifest = { id: 'x', startedAt: '2026-11-22T02:00:00Z', kind: 'full', suspicious: false };
  function entry(change: Partial<Manifest>, receipts: readonly Receipt[] = []): CatalogEntry {
    return { manifest: { ...manifest, ...change } as Manifest, receipts };
  }
  const at = '2026-11-23T00:00:00Z';
  expect(toCandidate(entry({}))).toMatchObject({ good: true, flaw: null, pinned: false });
  expect(toCandidate(entry({ suspicious: true }))).toMatchObject({
    good: false,
    flaw: 'suspicious',
  });
  expect(toCandidate(entry({ kind: 'safety' }))).toMatchObject({ good: false, flaw: 'safety' });
  expect(toCandidate(entry({}, [{ type: 'damaged', at, message: 'hash' }]))).toMatchObject({
    good: false,
    flaw: 'damaged',
  });
  expect(toCandidate(entry({}, [{ type: 'pinned', at }]))).toMatchObject({ pinned: true });
});

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
