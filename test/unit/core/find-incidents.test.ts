import { describe, expect, test } from 'vitest';
import { findIncidents } from '../../../src/core/find-incidents.ts';
import type { Standing } from '../../../src/core/find-around.ts';
import { judgeDestination } from '../../../src/core/copy-standing.ts';
import type { Attempt } from '../../../src/core/events.ts';
import { judgeSource, type Observed } from '../../../src/core/standing.ts';
import type { StatusReport } from '../../../src/core/status.ts';
import { NO_UPLOADS, type UploadRecord } from '../../../src/core/upload-record.ts';
import { boundSource } from '../cli/paper-source.ts';
import { backupId, sampleManifest } from '../../support/storage.ts';
import { destinationSettings } from '../../support/upload-stage.ts';

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 1);
const TOTALS = { success: 0, failed: 0, skipped: 0, interrupted: 0 };

/** Hours of the first of January 2026, as backups and attempts have them. */
function attempt(hour: number, change: Partial<Attempt> = {}): Attempt {
  const at = new Date(START_MS + hour * HOUR_MS).toISOString();
  const failure = { code: 'dump-failed', message: 'pg_dump exited with 1', hint: 'Look.' } as const;
  return {
    at,
    finishedAt: at,
    outcome: 'failed',
    trigger: 'schedule',
    id: null,
    failure,
    ...change,
  };
}

function observed(change: Partial<Observed> = {}): Observed {
  return {
    job: boundSource('db').job,
    present: true,
    running: false,
    entries: [{ manifest: sampleManifest({ id: backupId(2) }), receipts: [] }],
    record: { attempts: [], totals: TOTALS, removedTotal: 0 },
    previous: [],
    lastRestore: null,
    destinations: [],
    schedule: null,
    ...change,
  };
}

function failed(...attempts: readonly Attempt[]): Observed {
  return observed({ record: { attempts, totals: TOTALS, removedTotal: 0 } });
}

function standing(report: Partial<StatusReport>, change: Partial<Standing> = {}): Standing {
  return {
    report: { healthy: false, sources: [], destinations: [], problems: [], ...report },
    problems: [],
    docker: null,
    disk: { dir: '/backups', freeBytes: 1e9, neededBytes: 1e6 },
    channels: [],
    ...change,
  };
}

/** What is found of one source at an hour: `failure backup`, in brackets where it only lingers. */
function found(source: Observed, hour: number): readonly string[] {
  const nowMs = START_MS + hour * HOUR_MS;
  const sources = [judgeSource(source, nowMs)];
  return findIncidents(standing({ sources }), nowMs).map(({ event, about, opens }) =>
    opens ? `${event} ${about}` : `(${event} ${about})`,
  );
}

describe('of a source', () => {
  test('nothing is wrong with a fresh backup', () => {
    expect(found(observed(), 3)).toEqual([]);
  });

  test('a failure counts when no try follows, or none came', () => {
    const retryAt = new Date(START_MS + 4 * HOUR_MS).toISOString();
    expect(found(failed(attempt(3)), 4)).toEqual(['failure backup']);
    expect(found(failed(attempt(3, { retryAt })), 4)).toEqual(['(failure backup)']);
    expect(found(failed(attempt(3, { retryAt })), 5.1)).toEqual(['failure backup']);
  });

  test('it fails since the first failure after the last success', () => {
    const success = attempt(4, { outcome: 'success', failure: null });
    const runs = failed(attempt(8), attempt(7), attempt(6), success, attempt(3));
    const nowMs = START_MS + 9 * HOUR_MS;
    const [incident] = findIncidents(standing({ sources: [judgeSource(runs, nowMs)] }), nowMs);
    expect(incident).toMatchObject({
      since: '2026-01-01T06:00:00.000Z',
      code: 'dump-failed',
      hint: 'Look.',
      lastSuccessAt: '2026-01-01T02:00:00.000Z',
    });
  });

  test('runs that were skipped or cut off are no failure', () => {
    const skipped = attempt(4, { outcome: 'skipped' });
    const cutOff = attempt(3, { outcome: 'interrupted' });
    expect(found(failed(skipped, cutOff), 5)).toEqual([]);
  });

  test('it is overdue by its own age, also one that never had a backup, or is gone', () => {
    expect(found(observed(), 38)).toEqual([]);
    expect(found(observed(), 38.1)).toEqual(['overdue backup']);
    expect(found(observed({ present: false }), 38.1)).toEqual(['overdue backup']);
    const schedule = { firstSeenAtMs: START_MS, handledUntilMs: null };
    expect(found(observed({ entries: [], schedule }), 36)).toEqual([]);
    expect(found(observed({ entries: [], schedule }), 36.1)).toEqual(['overdue backup']);
  });

  test('a backup that is damaged is a failure, until it is whole', () => {
    const { manifest } = observed().entries[0] ?? { manifest: sampleManifest({ id: backupId(2) }) };
    const at = '2026-01-01T03:00:00.000Z';
    const damaged = { type: 'damaged', at, message: 'a bit flipped', depth: 'stored' } as const;
    const verified = { type: 'verified', at, depth: 'stored' } as const;
    expect(found(observed({ entries: [{ manifest, receipts: [damaged] }] }), 4)).toContain(
      'failure verification',
    );
    expect(found(observed({ entries: [{ manifest, receipts: [damaged, verified] }] }), 4)).toEqual(
      [],
    );
  });

  test('a newest backup that shrank to nothing is a failure, until somebody pins it', () => {
    const manifest = sampleManifest({ id: backupId(3), suspicious: true });
    const [good] = observed().entries;
    const others = good === undefined ? [] : [good];
    const pinned = { type: 'pinned', at: '2026-01-01T04:00:00.000Z' } as const;
    expect(found(observed({ entries: [{ manifest, receipts: [] }, ...others] }), 4)).toEqual([
      'failure shrunk',
    ]);
    expect(found(observed({ entries: [{ manifest, receipts: [pinned] }, ...others] }), 4)).toEqual(
      [],
    );
  });
});

describe('of uploads', () => {
  function uploads(record: Partial<UploadRecord>): readonly string[] {
    const destination = { settings: destinationSettings(), running: false };
    const report = {
      destinations: [
        judgeDestination({ ...destination, record: { ...NO_UPLOADS, ...record } }, [], START_MS),
      ],
      sources: [judgeSource(observed(), START_MS + 3 * HOUR_MS)],
    };
    return findIncidents(standing(report), START_MS).map(
      ({ about, destination: at, opens }) => `${about} ${at ?? ''} ${opens}`,
    );
  }

  test('what may pass counts after five failures, what does not at once', () => {
    const away = { code: 'destination-unavailable', message: 'no route', hint: null } as const;
    const denied = { ...away, code: 'destination-denied' } as const;
    const { name } = destinationSettings();
    expect(uploads({ failure: away, failedInRow: 4 })).toEqual([`upload ${name} false`]);
    expect(uploads({ failure: away, failedInRow: 5 })).toEqual([`upload ${name} true`]);
    expect(uploads({ failure: denied, failedInRow: 1 })).toEqual([`upload ${name} true`]);
  });
});

describe('around', () => {
  const sources = [judgeSource(observed(), START_MS + 3 * HOUR_MS)];

  function around(change: Partial<Standing>): readonly string[] {
    return findIncidents(standing({ sources }, change), START_MS).map(
      ({ event, about, opens }) => `${event} ${about} ${opens}`,
    );
  }

  test('a disk is full when the next backups do not fit, and has room when they fit well', () => {
    const disk = { dir: '/backups', neededBytes: 100 };
    expect(around({ disk: { ...disk, freeBytes: 99 } })).toEqual(['disk space true']);
    expect(around({ disk: { ...disk, freeBytes: 100 } })).toEqual(['disk space false']);
    expect(around({ disk: { ...disk, freeBytes: 125 } })).toEqual([]);
  });

  test('Docker, the configuration and a dead channel are told', () => {
    const docker = { code: 'target-unavailable', message: 'no socket', hint: null } as const;
    expect(around({ docker })).toEqual(['failure docker true']);
    const problem = { source: 'db', option: 'backupd.keep', message: 'wrong', hint: null } as const;
    expect(around({ problems: [{ ...problem, severity: 'source' }] })).toEqual([
      'config backupd.keep true',
    ]);
    const channel = {
      channel: 'slack',
      lastSentAt: null,
      failure: { at: '2026-01-01T00:00:00.000Z', message: 'no answer' },
      failuresTotal: 9,
      tryAgainAt: null,
    } as const;
    expect(around({ channels: [{ ...channel, failedInRow: 4 }] })).toEqual([]);
    expect(around({ channels: [{ ...channel, failedInRow: 5 }] })).toEqual([
      'config channel slack true',
    ]);
  });

  test('no source at all is told', () => {
    expect(findIncidents(standing({}), START_MS).map(({ title }) => title)).toEqual([
      'there is no source',
    ]);
  });
});
