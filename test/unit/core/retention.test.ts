import { describe, expect, test } from 'vitest';
import type { RetentionPolicy } from '../../../src/core/job.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import type { CatalogEntry, Receipt } from '../../../src/core/catalog-entry.ts';
import {
  decideRetention,
  isMassRemoval,
  toCandidate,
  type Candidate,
} from '../../../src/core/retention.ts';
import { candidate, DAY_MS, policy } from './retention-samples.ts';

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

test('one that is dated in the future stays, and counts for nothing until its time has come', () => {
  const wrong = { ...candidate('2031-01-01T02:00:00Z'), ahead: true };
  const real = ['11-22T02:00', '11-21T02:00', '11-20T02:00'].map((at) =>
    candidate(`2026-${at}:00Z`),
  );
  const rules = policy({ last: 2, withinMs: 2 * DAY_MS });
  expect(kept([wrong, ...real], rules)).toEqual({
    ...kept(real, rules),
    '01-01T02:00': ['dated in the future'],
  });
});

test('a candidate says what a catalog entry is', () => {
  const manifest = { id: 'x', startedAt: '2026-11-22T02:00:00Z', kind: 'full', suspicious: false };
  function entry(change: Partial<Manifest>, receipts: readonly Receipt[] = []): CatalogEntry {
    return { manifest: { ...manifest, ...change } as Manifest, receipts };
  }
  const at = '2026-11-23T00:00:00Z';
  const nowMs = Date.parse(at);
  expect(toCandidate(entry({}), nowMs)).toMatchObject({ good: true, flaw: null, pinned: false });
  expect(toCandidate(entry({ suspicious: true }), nowMs)).toMatchObject({
    good: false,
    flaw: 'suspicious',
  });
  expect(toCandidate(entry({ kind: 'safety' }), nowMs)).toMatchObject({
    good: false,
    flaw: 'safety',
  });
  expect(toCandidate(entry({}, [{ type: 'damaged', at, message: 'hash' }]), nowMs)).toMatchObject({
    good: false,
    flaw: 'damaged',
  });
  expect(toCandidate(entry({}, [{ type: 'pinned', at }]), nowMs)).toMatchObject({ pinned: true });
  expect(toCandidate(entry({}), nowMs).ahead).toBe(false);
  expect(toCandidate(entry({ startedAt: '2026-11-23T00:02:00Z' }), nowMs).ahead).toBe(true);
});
