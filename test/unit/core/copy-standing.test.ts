import { describe, expect, test } from 'vitest';
import {
  judgeCopies,
  judgeDestination,
  judgeThreeTwoOne,
  type ObservedDestination,
} from '../../../src/core/copy-standing.ts';
import type { CatalogEntry, Receipt } from '../../../src/core/catalog-entry.ts';
import { NO_UPLOADS, type UploadRecord } from '../../../src/core/upload-record.ts';
import { destinationSettings } from '../../support/upload-stage.ts';
import { backupId, SAMPLE_ARCHIVE, sampleManifest } from '../../support/storage.ts';
import { policy } from './retention-samples.ts';

const OWN = { keep: policy({ last: 3 }), timezone: 'UTC' };
/** Seven in the morning; uploads are at six. */
const NOW_MS = Date.UTC(2026, 0, 1, 7);

function at(hour: number): string {
  return new Date(Date.UTC(2026, 0, 1, hour)).toISOString();
}

function uploaded(hour: number, destination = 's3'): Receipt {
  return { type: 'uploaded', at: at(hour), destination, files: [] };
}

function lost(hour: number): Receipt {
  return { type: 'lost', at: at(hour), destination: 's3', message: 'it is missing' };
}

function backup(hour: number, ...receipts: readonly Receipt[]): CatalogEntry {
  return { manifest: sampleManifest({ id: backupId(hour) }), receipts };
}

function observed(record: Partial<UploadRecord> = {}): ObservedDestination {
  const facts = {
    region: null,
    isOffsite: true,
    keepsVersions: null,
    locksObjects: null,
    clockAheadMs: null,
  };
  return {
    settings: destinationSettings(),
    record: { ...NO_UPLOADS, facts, lastSuccessAt: at(6), ...record },
    running: false,
  };
}

const FAILURE = { code: 'destination-unavailable', message: 'it is down', hint: null } as const;

describe('copies of a source', () => {
  test.each<[string, readonly CatalogEntry[], readonly [string, number, string | null]]>([
    ['all there', [backup(2, uploaded(6)), backup(1, uploaded(6))], ['ok', 0, at(6)]],
    ['one is not there yet', [backup(2), backup(1, uploaded(6))], ['pending', 1, at(6)]],
    ['no backup', [], ['pending', 0, null]],
    ['one was lost', [backup(2, uploaded(3), lost(6)), backup(1)], ['lost', 2, null]],
    ['lost and sent again', [backup(2, uploaded(3), lost(5), uploaded(6))], ['ok', 0, at(6)]],
    ['at another place only', [backup(2, uploaded(6, 'nas'))], ['pending', 1, null]],
  ])('%s', (_name, entries, [state, pendingBackups, newest]) => {
    expect(judgeCopies(observed(), entries, OWN, NOW_MS)).toEqual({
      destination: 's3',
      state,
      at: newest,
      pendingBackups,
      pendingBytes: pendingBackups * SAMPLE_ARCHIVE.storedBytes,
      oldestPendingAt: pendingBackups === 0 ? null : (expect.any(String) as string),
    });
  });
});

describe('a destination', () => {
  const pending = judgeCopies(observed(), [backup(2)], OWN, NOW_MS);
  const fine = judgeCopies(observed(), [backup(2, uploaded(6))], OWN, NOW_MS);
  const gone = judgeCopies(observed(), [backup(2, uploaded(3), lost(6))], OWN, NOW_MS);

  test.each([
    ['ok', true, observed(), fine],
    ['pending', true, observed(), pending],
    ['never', true, observed({ lastSuccessAt: null }), pending],
    ['failed', false, observed({ failure: FAILURE }), fine],
    ['overdue', false, observed({ lastSuccessAt: '2025-12-31T18:00:00.000Z' }), pending],
    ['ok', true, observed({ lastSuccessAt: '2025-12-31T18:00:00.000Z' }), fine],
    ['lost', false, observed(), gone],
  ] as const)('%s', (state, healthy, destination, copies) => {
    expect(judgeDestination(destination, [copies], NOW_MS)).toMatchObject({ state, healthy });
  });

  test('stays unhealthy while the next try runs', () => {
    const trying = observed({
      failure: FAILURE,
      failedInRow: 2,
      lastAttempt: { at: at(7), finishedAt: null },
    });
    expect(judgeDestination({ ...trying, running: true }, [pending], NOW_MS)).toMatchObject({
      state: 'running',
      healthy: false,
      lastAttempt: { outcome: 'running' },
      failure: FAILURE,
    });
    expect(judgeDestination(trying, [pending], NOW_MS).lastAttempt?.outcome).toBe('interrupted');
  });

  test('a backup may wait for one and a half of its intervals', () => {
    expect(judgeDestination(observed(), [pending], NOW_MS).maxAgeSeconds).toBe(9 * 3600);
  });

  test('sent to by hand alone it is never overdue', () => {
    const settings = destinationSettings({
      schedule: { patterns: [], timezone: 'UTC', catchUpMs: 0 },
    });
    const byHand = { ...observed({ lastSuccessAt: '2020-01-01T00:00:00.000Z' }), settings };
    expect(judgeDestination(byHand, [pending], NOW_MS)).toMatchObject({
      state: 'pending',
      maxAgeSeconds: null,
    });
  });
});

describe('3-2-1', () => {
  const last = backup(7);
  const earlier = backup(2, uploaded(6));

  test.each<[string, readonly CatalogEntry[], ObservedDestination, readonly string[]]>([
    ['the last good backup is off-site', [backup(2, uploaded(6))], observed(), []],
    ['between two uploads an earlier one does', [last, earlier], observed(), []],
    [
      'not while uploads fail',
      [last, earlier],
      observed({ failure: FAILURE }),
      ['a third copy', 'a second kind of place', 'a copy off this site'],
    ],
    [
      'a copy that is near is a copy',
      [backup(2, uploaded(6))],
      { ...observed(), settings: destinationSettings({ isOffsite: false }) },
      ['a copy off this site'],
    ],
    [
      'nobody knows yet where it is',
      [backup(2, uploaded(6))],
      observed({ facts: null }),
      ['a copy off this site'],
    ],
    [
      'no copy at all',
      [last],
      observed(),
      ['a third copy', 'a second kind of place', 'a copy off this site'],
    ],
  ])('%s', (_name, entries, destination, missing) => {
    const found = judgeThreeTwoOne(entries, entries[0] ?? null, [destination], NOW_MS);
    expect(found).toEqual({ holds: missing.length === 0, missing });
  });

  test('without a backup that is the first thing missing', () => {
    expect(judgeThreeTwoOne([], null, [observed()], NOW_MS).missing[0]).toBe('a backup');
  });
});
