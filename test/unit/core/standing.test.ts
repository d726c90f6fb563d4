import { describe, expect, test } from 'vitest';
import type { Attempt, Outcome } from '../../../src/core/events.ts';
import type { FailureCode } from '../../../src/core/errors.ts';
import type { Job } from '../../../src/core/job.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import type { CatalogEntry, Receipt } from '../../../src/core/catalog-entry.ts';
import { judgeSource, type Observed } from '../../../src/core/standing.ts';
import type { SourceStatus } from '../../../src/core/status.ts';
import { boundSource } from '../cli/paper-source.ts';
import { backupId, SAMPLE_ARCHIVE, sampleManifest } from '../../support/storage.ts';

const { job: DAILY } = boundSource('db');
const NO_RUNS = { success: 0, failed: 0, skipped: 0, interrupted: 0 };

/** A backup of this hour of 2026 that took ten minutes. */
function backup(
  hour: number,
  change: Partial<Manifest> = {},
  receipts: readonly Receipt[] = [],
): CatalogEntry {
  const id = backupId(hour);
  const finishedAt = new Date(Date.UTC(2026, 0, 1, hour, 10)).toISOString();
  return { manifest: sampleManifest({ id, finishedAt, ...change }), receipts };
}

function attempt(hour: number, outcome: Outcome, code: FailureCode = 'dump-failed'): Attempt {
  const at = new Date(Date.UTC(2026, 0, 1, hour)).toISOString();
  const failure =
    outcome === 'success' ? null : { code, message: 'pg_dump exited with 1', hint: null };
  return { at, finishedAt: at, outcome, trigger: 'schedule', id: null, failure };
}

function judge(change: Partial<Observed>, hour: number): SourceStatus {
  const nothing: Observed = {
    job: DAILY,
    present: true,
    running: false,
    entries: [],
    record: { attempts: [], totals: NO_RUNS, removedTotal: 0 },
    previous: [],
    lastRestore: null,
    destinations: [],
    schedule: null,
  };
  return judgeSource({ ...nothing, ...change }, Date.UTC(2026, 0, 1, hour));
}

function runs(...attempts: readonly Attempt[]): Observed['record'] {
  return { attempts, totals: NO_RUNS, removedTotal: 0 };
}

function scheduled(patterns: readonly string[], maxAge: Job['maxAge'] = { intervals: 1.5 }): Job {
  return { ...DAILY, schedule: { ...DAILY.schedule, patterns }, maxAge };
}

describe('state', () => {
  test.each<[string, Partial<Observed>, number, readonly [string, boolean]]>([
    ['a fresh backup', { entries: [backup(2)] }, 3, ['ok', true]],
    ['one as old as it may be', { entries: [backup(2)] }, 38, ['ok', true]],
    ['one that is too old', { entries: [backup(2)] }, 39, ['overdue', false]],
    ['no backup', {}, 3, ['never', false]],
    ['no backup, schedule off', { job: scheduled([]) }, 3, ['never', true]],
    [
      'no backup, schedule off, and it failed by hand',
      { job: scheduled([]), record: runs(attempt(1, 'failed')) },
      3,
      ['never', false],
    ],
    [
      'no backup, schedule off, a maximum age',
      { job: scheduled([], { ms: 1 }) },
      3,
      ['never', false],
    ],
    ['an old one, schedule off', { job: scheduled([]), entries: [backup(2)] }, 9000, ['ok', true]],
    [
      'an old one, schedule off, a maximum age',
      { job: scheduled([], { ms: 3_600_000 }), entries: [backup(2)] },
      4,
      ['overdue', false],
    ],
    [
      'a failure since',
      { entries: [backup(2)], record: runs(attempt(26, 'failed'), attempt(2, 'success')) },
      27,
      ['failed', false],
    ],
    [
      'a failure before',
      { entries: [backup(26)], record: runs(attempt(26, 'success'), attempt(2, 'failed')) },
      27,
      ['ok', true],
    ],
    [
      'a failure since, which a clock that was set back took for one before',
      {
        entries: [backup(26)],
        record: runs(attempt(2, 'failed'), { ...attempt(26, 'success'), id: backupId(26) }),
      },
      27,
      ['failed', false],
    ],
    [
      'a failure that a skipped and an interrupted run followed',
      {
        entries: [backup(2)],
        record: runs(attempt(28, 'skipped'), attempt(27, 'interrupted'), attempt(26, 'failed')),
      },
      28,
      ['failed', false],
    ],
    [
      'only an interruption since',
      { entries: [backup(2)], record: runs(attempt(26, 'interrupted', 'cancelled')) },
      27,
      ['ok', true],
    ],
    ['gone', { entries: [backup(2)], present: false }, 3, ['missing', false]],
    ['running', { entries: [backup(2)], running: true }, 3, ['running', true]],
    [
      'running, and overdue until it is done',
      { entries: [backup(2)], running: true },
      99,
      ['running', false],
    ],
    ['running for the first time', { running: true }, 3, ['running', false]],
    ['only a suspicious one', { entries: [backup(2, { suspicious: true })] }, 3, ['never', false]],
    ['only a safety backup', { entries: [backup(2, { kind: 'safety' })] }, 3, ['never', false]],
  ])('%s', (_name, observed, hour, [state, healthy]) => {
    expect(judge(observed, hour)).toMatchObject({ state, healthy });
  });
});

describe('what it says', () => {
  test('of the last good backup, not of a suspicious one after it', () => {
    const entries = [backup(26, { suspicious: true, files: [] }), backup(2)];
    expect(judge({ entries }, 27)).toMatchObject({
      lastSuccessAt: '2026-01-01T02:10:00.000Z',
      lastSuccessId: backupId(2),
      ageSeconds: 24 * 3600 + 50 * 60,
      maxAgeSeconds: 36 * 3600,
      intervalSeconds: 24 * 3600,
      durationSeconds: 600,
      sizeBytes: SAMPLE_ARCHIVE.storedBytes,
      dumpBytes: SAMPLE_ARCHIVE.dumpBytes,
      backups: 2,
      storedBytes: SAMPLE_ARCHIVE.storedBytes,
    });
  });

  test('nothing where there is nothing', () => {
    expect(judge({}, 3)).toMatchObject({
      lastSuccessAt: null,
      lastSuccessId: null,
      ageSeconds: null,
      sizeBytes: null,
      dumpBytes: null,
      durationSeconds: null,
      lastAttempt: null,
      lastVerifiedAt: null,
      copies: [],
      previous: [],
      lastRestore: null,
      threeTwoOne: { holds: false },
    });
  });

  test('an age is never negative, whatever the clock does', () => {
    expect(judge({ entries: [backup(26)] }, 2).ageSeconds).toBe(0);
  });

  test('the last attempt that was one', () => {
    const record = runs(attempt(27, 'skipped', 'locked'), attempt(26, 'failed'));
    expect(judge({ record }, 28).lastAttempt).toEqual({
      at: '2026-01-02T02:00:00.000Z',
      outcome: 'failed',
      code: 'dump-failed',
      message: 'pg_dump exited with 1',
    });
  });

  test('the next run, but not one that ran before the clock was set back', () => {
    expect(judge({}, 1).nextRunAt).toBe('2026-01-01T02:00:00.000Z');
    const handledUntilMs = Date.UTC(2026, 0, 1, 2);
    expect(judge({ schedule: { firstSeenAtMs: 0, handledUntilMs } }, 1).nextRunAt).toBe(
      '2026-01-02T02:00:00.000Z',
    );
    expect(judge({ job: scheduled([]) }, 1).nextRunAt).toBeNull();
    expect(judge({ present: false }, 1).nextRunAt).toBeNull();
  });

  test('warnings of the newest backup by code, verifications and damage of all', () => {
    const at = '2026-01-03T00:00:00.000Z';
    const warnings = ['shrunk', 'skipped', 'skipped'].map((code) => ({ code, message: code }));
    const entries = [
      backup(50, { warnings }),
      backup(26, { warnings: [{ code: 'old', message: 'old' }] }, [
        { type: 'verified', at, depth: 'content' },
      ]),
      backup(2, {}, [{ type: 'damaged', at, message: 'hash' }]),
    ];
    expect(judge({ entries }, 51)).toMatchObject({
      warnings: { shrunk: 1, skipped: 2 },
      lastVerifiedAt: at,
      damagedBackups: 1,
    });
  });

  test('the names of what restores kept', () => {
    const previous: Observed['previous'] = [
      {
        run: 'r',
        source: 'db',
        engine: 'postgres',
        target: { volume: 'data', made: null, labelled: null },
        replacedAt: '2026-01-01T00:00:00.000Z',
        databases: [
          { name: 'shop', currentId: '2', kept: { id: '1', name: 'shop_before_r' } },
          { name: 'made', currentId: '3', kept: null },
        ],
      },
    ];
    expect(judge({ previous }, 3).previous).toEqual(['shop_before_r']);
  });
});
