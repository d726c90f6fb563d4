import { describe, expect, test } from 'vitest';
import type { Attempt } from '../../../src/core/events.ts';
import { planPings, type Heard } from '../../../src/core/pings.ts';
import { judgeSource } from '../../../src/core/standing.ts';
import type { SourceStatus } from '../../../src/core/status.ts';
import { failure } from '../../support/incidents.ts';
import { backupId, sampleManifest } from '../../support/storage.ts';
import { boundSource } from '../cli/paper-source.ts';

const NOW_MS = Date.UTC(2026, 0, 1, 4);

function status(source: string, change: Partial<Attempt> = {}): SourceStatus {
  const at = '2026-01-01T03:00:00.000Z';
  const attempt = { at, finishedAt: at, trigger: 'schedule', id: null, failure: null } as const;
  const attempts: readonly Attempt[] = [{ ...attempt, outcome: 'success', ...change }];
  return judgeSource(
    {
      job: boundSource(source).job,
      present: true,
      running: false,
      entries: [{ manifest: sampleManifest({ id: backupId(2), source }), receipts: [] }],
      record: {
        attempts,
        totals: { success: 1, failed: 0, skipped: 0, interrupted: 0 },
        removedTotal: 0,
      },
      previous: [],
      lastRestore: null,
      destinations: [],
      schedule: null,
    },
    NOW_MS,
  );
}

const FAILED = {
  outcome: 'failed',
  failure: { code: 'dump-failed', message: 'no', hint: null },
} as const;

function heard(sources: readonly SourceStatus[], change: Partial<Heard> = {}): Heard {
  const healthy = sources.every((source) => source.healthy);
  const report = { healthy, sources, destinations: [], problems: [] };
  return { report, incidents: [], unseen: [], ...change };
}

function pings(
  from: Heard,
  isBySource: boolean,
  pinged: Readonly<Record<string, string>> = {},
  nowMs = NOW_MS,
): readonly string[] {
  return planPings(pinged, from, isBySource, nowMs).map(
    ({ source, tells }) => `${source ?? 'all'} ${tells}`,
  );
}

describe('a source with an address of its own', () => {
  test('is told of once for each run that ended', () => {
    const sources = heard([status('a'), status('b', FAILED)]);
    expect(pings(sources, true)).toEqual(['a success', 'b failure']);
    const mark = '2026-01-01T03:00:00.000Z';
    expect(pings(sources, true, { a: mark, b: mark })).toEqual([]);
    expect(pings(sources, true, { a: 'an earlier one', b: mark })).toEqual(['a success']);
  });

  test('has failed where what it saved is suspicious, and not any more once somebody says that it was meant', () => {
    const at = '2026-01-01T03:00:00.000Z';
    const suspicious = { ...status('a'), suspicious: { since: at, id: backupId(2) } };
    expect(pings(heard([suspicious]), true)).toEqual(['a failure']);
    const pinged = { a: `${at} suspicious` };
    expect(pings(heard([suspicious]), true, pinged)).toEqual([]);
    expect(pings(heard([status('a')]), true, pinged)).toEqual(['a success']);
  });

  test('has not failed while it is tried again', () => {
    const retryAt = '2026-01-01T04:01:00.000Z';
    expect(pings(heard([status('a', { ...FAILED, retryAt })]), true)).toEqual([]);
  });

  test('is not well because of runs that were skipped or cut off, or of one that is long ago', () => {
    expect(pings(heard([status('a', { outcome: 'interrupted' })]), true)).toEqual([]);
    const late = judgeLate(status('a'));
    expect(pings(heard([late]), true)).toEqual([]);
  });
});

function judgeLate(source: SourceStatus): SourceStatus {
  return { ...source, overdueSince: '2026-01-01T03:30:00.000Z' };
}

describe('all together', () => {
  test('are well only when all are', () => {
    expect(pings(heard([status('a'), status('b')]), false)).toEqual(['all success']);
    const wrong = heard([status('a'), status('b', FAILED)], { incidents: [failure('b')] });
    expect(pings(wrong, false)).toEqual(['all failure']);
  });

  test('have failed where something is wrong that leaves every source healthy', () => {
    const drill = failure('a', { event: 'drill', about: 'drill' });
    expect(pings(heard([status('a')], { incidents: [drill] }), false)).toEqual(['all failure']);
    // The disk has no room to spare yet.
    const disk = failure('a', { event: 'disk', about: 'space', opens: false });
    expect(pings(heard([status('a')], { incidents: [disk] }), false)).toEqual([]);
  });

  test('are well whatever is wrong with an option, a channel, or is not ours in the directory', () => {
    const incidents = [
      failure('a', { event: 'config', code: 'config-warning', graceMs: 60_000 }),
      failure('a', { event: 'config', code: 'notify-failed', opens: true, graceMs: 0 }),
      failure('a', { code: 'storage-damaged', graceMs: 120_000 }),
    ];
    expect(pings(heard([status('a')], { incidents }), false)).toEqual(['all success']);
  });

  test('are neither while one is tried again, or was never backed up yet', () => {
    const lingering = failure('b', { opens: false });
    const wrong = heard([status('a'), status('b', FAILED)], { incidents: [lingering] });
    expect(pings(wrong, false)).toEqual([]);
    expect(pings(heard([]), false)).toEqual([]);
  });
});
