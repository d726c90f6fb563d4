import { copyRules, hasCopy, lastCopy, listCopies, pendingCopies } from './copies.ts';
import type { DestinationSettings } from './destination-settings.ts';
import type { RetentionPolicy, Schedule } from './job.ts';
import { storedBytes } from './manifest.ts';
import { isGood, type CatalogEntry } from './catalog-entry.ts';
import { intervalMs } from './schedule.ts';
import type { CopyStatus, DestinationStatus, SourceStatus } from './status.ts';
import { uploadDueAt, type UploadRecord } from './upload-record.ts';

/** All that is known here of one destination. */
export interface ObservedDestination {
  readonly settings: DestinationSettings;
  readonly record: UploadRecord;
  /** Whether somebody sends to it, or removes there, now. */
  readonly running: boolean;
}

/** How the copies of one source, which keeps so here, stand at a destination. */
export function judgeCopies(
  { settings }: ObservedDestination,
  entries: readonly CatalogEntry[],
  own: { readonly keep: RetentionPolicy; readonly timezone: string },
  nowMs: number,
): CopyStatus {
  const { name: destination } = settings;
  const pending = pendingCopies(entries, copyRules(settings, own), nowMs);
  const isLost = pending.some((entry) => lastCopy(entry, destination)?.type === 'lost');
  const isThere = pending.length === 0 && entries.some((entry) => hasCopy(entry, destination));
  return {
    destination,
    state: isLost ? 'lost' : isThere ? 'ok' : 'pending',
    at: newestCopyAt(entries, destination),
    pendingBackups: pending.length,
    pendingBytes: pending.reduce((sum, { manifest }) => sum + storedBytes(manifest), 0),
    oldestPendingAt: pending[0]?.manifest.finishedAt ?? null,
  };
}

function newestCopyAt(entries: readonly CatalogEntry[], destination: string): string | null {
  const newest = entries.find((entry) => hasCopy(entry, destination));
  const copies = newest === undefined ? [] : listCopies(newest);
  return copies.find((copy) => copy.destination === destination)?.at ?? null;
}

/**
 * Whether there are three copies with the live data, in two kinds of place, one of them off this site. A destination
 * counts that has the last good backup, or an earlier one while its own schedule is kept: between two uploads the newest
 * backup is nowhere else.
 */
export function judgeThreeTwoOne(
  entries: readonly CatalogEntry[],
  lastGood: CatalogEntry | null,
  destinations: readonly ObservedDestination[],
  nowMs: number,
): SourceStatus['threeTwoOne'] {
  const holding = destinations.filter((observed) => {
    const { name } = observed.settings;
    const hasLast = lastGood !== null && hasCopy(lastGood, name);
    const hasAny = entries.some((entry) => isGood(entry) && hasCopy(entry, name));
    return hasLast || (hasAny && isOnTime(observed, nowMs));
  });
  const missing = [
    ...(lastGood === null ? ['a backup'] : []),
    ...(holding.length === 0 ? ['a third copy', 'a second kind of place'] : []),
    ...(holding.some((observed) => isOffsite(observed) === true) ? [] : ['a copy off this site']),
  ];
  return { holds: missing.length === 0, missing };
}

/** Null where it was never asked. */
function isOffsite({ settings, record }: ObservedDestination): boolean | null {
  return settings.isOffsite ?? record.facts?.isOffsite ?? null;
}

/** How many intervals may pass without an upload that got everything there. */
const LATE_INTERVALS = 1.5;

/** Whether the last uploads succeeded, and the last one is not too long ago; one that is sent to by hand never is. */
function isOnTime({ settings, record }: ObservedDestination, nowMs: number): boolean {
  const { failure, lastSuccessAt } = record;
  return failure === null && lastSuccessAt !== null && !isLate(settings, lastSuccessAt, nowMs);
}

function isLate({ schedule }: DestinationSettings, lastSuccessAt: string, nowMs: number): boolean {
  const lastMs = Date.parse(lastSuccessAt);
  const maxAge = maxAgeMs(schedule, lastMs);
  return maxAge === null || nowMs - lastMs > maxAge;
}

/** How long it may take until all that was wanted at an instant is there; null: nothing is sent by itself. */
function maxAgeMs(schedule: Schedule, atMs: number): number | null {
  const interval = intervalMs(schedule, atMs);
  return interval === null ? null : interval * LATE_INTERVALS;
}

/** How a destination stands, with how the copies of all sources stand there. */
export function judgeDestination(
  observed: ObservedDestination,
  copies: readonly CopyStatus[],
  nowMs: number,
): DestinationStatus {
  const { settings, record, running } = observed;
  const { name: destination } = settings;
  const pendingBackups = copies.reduce((sum, copy) => sum + copy.pendingBackups, 0);
  const dueMs = uploadDueAt(settings.schedule, record, pendingBackups > 0, nowMs);
  const state = stateOf(observed, copies, nowMs);
  const oldestPendingAt =
    copies.flatMap((copy) => copy.oldestPendingAt ?? []).toSorted()[0] ?? null;
  const maxAge = maxAgeMs(
    settings.schedule,
    oldestPendingAt === null ? nowMs : Date.parse(oldestPendingAt),
  );
  return {
    destination,
    kind: settings.place.kind,
    place: record.place,
    state: running ? 'running' : state,
    healthy: state !== 'failed' && state !== 'overdue' && state !== 'lost',
    isOffsite: isOffsite(observed),
    lastSuccessAt: record.lastSuccessAt,
    lastAttempt: describeAttempt(observed),
    failure: record.failure,
    failedInRow: record.failedInRow,
    nextRunAt: dueMs === null ? null : new Date(dueMs).toISOString(),
    pendingBackups,
    pendingBytes: copies.reduce((sum, copy) => sum + copy.pendingBytes, 0),
    oldestPendingAt,
    maxAgeSeconds: maxAge === null ? null : maxAge / 1000,
    bytesTotal: record.bytesTotal,
    failuresTotal: record.failuresTotal,
    removedTotal: record.removedTotal,
    retentionFailure: record.retentionFailure,
  };
}

/** What holds apart from an upload that is under way. */
function stateOf(
  { settings, record }: ObservedDestination,
  copies: readonly CopyStatus[],
  nowMs: number,
): Exclude<DestinationStatus['state'], 'running'> {
  if (record.failure !== null) {
    return 'failed';
  }
  if (copies.some(({ state }) => state === 'lost')) {
    return 'lost';
  }
  if (record.lastSuccessAt === null) {
    return 'never';
  }
  if (copies.every(({ pendingBackups }) => pendingBackups === 0)) {
    return 'ok';
  }
  const isScheduled = settings.schedule.patterns.length > 0;
  return isScheduled && isLate(settings, record.lastSuccessAt, nowMs) ? 'overdue' : 'pending';
}

function describeAttempt({
  record: { lastAttempt, failure },
  running,
}: ObservedDestination): DestinationStatus['lastAttempt'] {
  if (lastAttempt === null) {
    return null;
  }
  const { at, finishedAt } = lastAttempt;
  const ended = failure === null ? 'success' : 'failed';
  return { at, outcome: finishedAt === null ? (running ? 'running' : 'interrupted') : ended };
}
