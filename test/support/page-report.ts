import { formatBackupId } from '../../src/core/layout.ts';
import type { HistoryEntry, PageReport, PageSource } from '../../src/core/page-report.ts';
import type { DestinationStatus } from '../../src/core/status.ts';

const NOW_MS = Date.parse('2026-11-28T11:14:30.000Z');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** So long before the report. */
export function before(ms: number): string {
  return new Date(NOW_MS - ms).toISOString();
}

/** Backups of so many days, each somewhat larger than the one before. */
export function historyOf(days: number, sizeBytes: number): readonly HistoryEntry[] {
  return Array.from({ length: days }, (_, day) => {
    const at = before((days - day) * DAY_MS - 15 * HOUR_MS);
    const grown = sizeBytes * (0.8 + (0.2 * day) / days + 0.03 * Math.sin(day * 2.1));
    return {
      id: formatBackupId({ startedAt: new Date(at), kind: 'full', suffix: '3fa9' }),
      at,
      sizeBytes: Math.round(grown),
      good: true,
    };
  });
}

/** A source that is well. */
export function pageSource(changes: Partial<PageSource> = {}): PageSource {
  const source = changes.source ?? 'db';
  const history = changes.history ?? historyOf(30, 1_230_000_000);
  return {
    source,
    engine: 'postgres',
    state: 'ok',
    healthy: true,
    lastSuccessAt: before(9 * HOUR_MS + 12 * 60_000),
    lastSuccessId: history.at(-1)?.id ?? null,
    ageSeconds: 33_120,
    maxAgeSeconds: 129_600,
    intervalSeconds: 86_400,
    sizeBytes: history.at(-1)?.sizeBytes ?? null,
    dumpBytes: 4_800_000_000,
    durationSeconds: 134,
    nextRunAt: before(-15 * HOUR_MS + 14 * 60_000),
    lastAttempt: {
      at: before(9 * HOUR_MS + 14 * 60_000),
      outcome: 'success',
      code: null,
      message: null,
    },
    failing: null,
    overdueSince: null,
    lastRestore: null,
    copies: [],
    lastDrill: {
      at: before(27 * DAY_MS),
      ok: true,
      id: history.at(-1)?.id ?? null,
      from: null,
      recoveryMs: 48_000,
      integrity: 1,
      differences: [],
      notCompared: [],
      notes: [],
      checks: [],
      failure: null,
    },
    drill: {
      lastSuccessAt: before(27 * DAY_MS),
      skipped: null,
      nextRunAt: before(-3 * DAY_MS),
      maxAgeSeconds: 45 * 86_400,
    },
    recovery: {
      rpo: { targetSeconds: null, measuredSeconds: 33_120, met: null },
      rto: { targetSeconds: null, measuredSeconds: 48, met: null },
    },
    threeTwoOne: { holds: true, missing: [] },
    previous: [],
    backups: 47,
    storedBytes: 48_700_000_000,
    warnings: {},
    runsTotal: { success: 212, failed: 0, skipped: 0, interrupted: 0 },
    removedTotal: 165,
    retentionFailure: null,
    lastVerifiedAt: before(2 * DAY_MS),
    damagedBackups: 0,
    damage: null,
    suspicious: null,
    restoreCommand: `docker exec -it backupd restore ${source}`,
    ...changes,
    history,
  };
}

export function pageDestination(changes: Partial<DestinationStatus> = {}): DestinationStatus {
  return {
    destination: 's3',
    kind: 's3',
    place: 'shop-backups/offsite at s3.eu-central-1.amazonaws.com',
    maxAgeSeconds: 25 * 3600,
    state: 'ok',
    healthy: true,
    isOffsite: true,
    lastSuccessAt: before(5 * HOUR_MS),
    lastAttempt: { at: before(5 * HOUR_MS), outcome: 'success' },
    failure: null,
    failedInRow: 0,
    nextRunAt: before(-HOUR_MS),
    pendingBackups: 0,
    pendingBytes: 0,
    oldestPendingAt: null,
    bytesTotal: 51_000_000_000,
    failuresTotal: {},
    removedTotal: {},
    retentionFailure: null,
    ...changes,
  };
}

/** A report in which all is well. */
export function pageReport(changes: Partial<PageReport> = {}): PageReport {
  return {
    at: before(0),
    version: '0.1.0',
    namespace: 'shop',
    container: 'backupd',
    timezone: 'Europe/Berlin',
    healthy: true,
    sources: [pageSource()],
    destinations: [],
    problems: [],
    running: [],
    failures: [],
    disk: { freeBytes: 310_000_000_000, sizeBytes: 500_000_000_000 },
    ...changes,
  };
}
