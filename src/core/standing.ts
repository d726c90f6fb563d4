import { jobRules } from './copies.ts';
import { judgeCopies, judgeThreeTwoOne, type ObservedDestination } from './copy-standing.ts';
import { judgeDrills } from './drill-standing.ts';
import { NO_DRILLS, type DrillRecord } from './drill.ts';
import type { Failure } from './errors.ts';
import type { Attempt, Outcome } from './events.ts';
import type { Job } from './job.ts';
import { dumpBytes, storedBytes } from './manifest.ts';
import { isDamaged, isPinned, verifiedAt, type CatalogEntry } from './catalog-entry.ts';
import { newestGood } from './newest.ts';
import { maxAgeMs, intervalMs, nextRunAt, type ScheduleState } from './schedule.ts';
import type { Previous } from './restorer.ts';
import type { Failing, LastRestore, SourceState, SourceStatus } from './status.ts';

/** All that is known of one source. */
export interface Observed {
  readonly job: Job;
  /** Whether its target is there; true where Docker could not be asked, since nobody knows. */
  readonly present: boolean;
  /** Whether a backup of it runs in a process that lives. */
  readonly running: boolean;
  /** Newest first. */
  readonly entries: readonly CatalogEntry[];
  readonly record: {
    /** Newest first. */
    readonly attempts: readonly Attempt[];
    readonly totals: Readonly<Record<Outcome, number>>;
    readonly removedTotal: number;
    /** Absent: retention came to its end. */
    readonly retentionFailure?: Failure;
  };
  readonly previous: readonly Previous[];
  readonly lastRestore: LastRestore | null;
  readonly destinations: readonly ObservedDestination[];
  /** Null where the daemon never saw it. */
  readonly schedule: ScheduleState | null;
  /** Absent: there were none. */
  readonly drills?: { readonly record: DrillRecord; readonly schedule: ScheduleState | null };
}

/** How a source stands at an instant. */
export function judgeSource(observed: Observed, nowMs: number): SourceStatus {
  const { job, entries, record } = observed;
  const lastGood = newestGood(entries, record.attempts, nowMs);
  const ages = readAges(job, lastGood, nowMs);
  const settled = settledState(observed, lastGood, ages);
  const attempt = lastAttempt(observed);
  return {
    source: job.source,
    engine: job.engine ?? entries[0]?.manifest.engine ?? null,
    state: observed.running ? 'running' : settled,
    healthy: isHealthy(settled, observed),
    ...describeLastGood(lastGood),
    ...ages,
    nextRunAt: nextRun(observed, nowMs),
    lastAttempt:
      attempt === null
        ? null
        : {
            at: attempt.at,
            outcome: attempt.outcome,
            code: attempt.failure?.code ?? null,
            message: attempt.failure?.message ?? null,
          },
    lastRestore: observed.lastRestore,
    copies: observed.destinations.map((each) => judgeCopies(each, entries, jobRules(job), nowMs)),
    failing: findFailing(observed, lastGood),
    overdueSince: overdueSince(observed, lastGood, ages, nowMs),
    ...describeDrills(observed, lastGood, nowMs),
    threeTwoOne: judgeThreeTwoOne(entries, lastGood, observed.destinations, nowMs),
    previous: observed.previous.flatMap(({ databases }) =>
      databases.flatMap(({ kept }) => (kept === null ? [] : [kept.name])),
    ),
    backups: entries.length,
    storedBytes: entries.reduce((sum, entry) => sum + storedBytes(entry.manifest), 0),
    warnings: countWarnings(entries),
    runsTotal: record.totals,
    removedTotal: record.removedTotal,
    retentionFailure: record.retentionFailure ?? null,
    lastVerifiedAt: lastVerified(entries),
    damagedBackups: entries.filter((entry) => isDamaged(entry)).length,
    damage: firstDamage(entries),
    suspicious: suspiciousNewest(entries),
  };
}

type Ages = Pick<SourceStatus, 'ageSeconds' | 'maxAgeSeconds' | 'intervalSeconds'>;

/**
 * The age counts from when the backup was done, so that a dump which takes long is not late because of it; the interval
 * is the one in which it began.
 */
function readAges(job: Job, lastGood: CatalogEntry | null, nowMs: number): Ages {
  const takenAtMs = lastGood === null ? nowMs : Date.parse(lastGood.manifest.startedAt);
  const interval = intervalMs(job.schedule, takenAtMs);
  const maxAge = maxAgeMs(job, takenAtMs);
  return {
    ageSeconds:
      lastGood === null
        ? null
        : Math.max(0, Math.floor((nowMs - Date.parse(lastGood.manifest.finishedAt)) / 1000)),
    maxAgeSeconds: maxAge === null ? null : maxAge / 1000,
    intervalSeconds: interval === null ? null : interval / 1000,
  };
}

/** What holds apart from a run that is under way. */
function settledState(
  observed: Observed,
  lastGood: CatalogEntry | null,
  { ageSeconds, maxAgeSeconds }: Ages,
): Exclude<SourceState, 'running'> {
  if (!observed.present) {
    return 'missing';
  }
  if (lastGood === null) {
    return 'never';
  }
  if (hasFailedSince(observed, lastGood)) {
    return 'failed';
  }
  return maxAgeSeconds !== null && (ageSeconds ?? 0) > maxAgeSeconds ? 'overdue' : 'ok';
}

/** A source that never runs by itself has nothing to answer for, unless somebody ran it and it failed. */
function isHealthy(settled: SourceState, observed: Observed): boolean {
  const isOff = observed.job.schedule.patterns.length === 0 && !('ms' in observed.job.maxAge);
  return settled === 'ok' || (settled === 'never' && isOff && !hasFailedSince(observed, null));
}

/** Newest first. Runs that were skipped or cut off by a shutdown say nothing about the source. */
function tellingRuns({ record }: Observed): readonly Attempt[] {
  return record.attempts.filter(({ outcome }) => outcome === 'success' || outcome === 'failed');
}

function hasFailedSince(observed: Observed, lastGood: CatalogEntry | null): boolean {
  const runs = tellingRuns(observed);
  const [last] = runs;
  if (last?.outcome !== 'failed' || lastGood === null) {
    return last?.outcome === 'failed';
  }
  const { id, startedAt } = lastGood.manifest;
  // By their order where both are remembered: a clock that was set back does not change that.
  return runs.some((run) => run.id === id) || Date.parse(last.at) > Date.parse(startedAt);
}

/** A run that was skipped attempted nothing. */
function lastAttempt({ record }: Observed): Attempt | null {
  return record.attempts.find(({ outcome }) => outcome !== 'skipped') ?? null;
}

function describeLastGood(
  lastGood: CatalogEntry | null,
): Pick<
  SourceStatus,
  'lastSuccessAt' | 'lastSuccessId' | 'sizeBytes' | 'dumpBytes' | 'durationSeconds'
> {
  if (lastGood === null) {
    return {
      lastSuccessAt: null,
      lastSuccessId: null,
      sizeBytes: null,
      dumpBytes: null,
      durationSeconds: null,
    };
  }
  const { manifest } = lastGood;
  const durationMs = Date.parse(manifest.finishedAt) - Date.parse(manifest.startedAt);
  return {
    lastSuccessAt: manifest.finishedAt,
    lastSuccessId: manifest.id,
    sizeBytes: storedBytes(manifest),
    dumpBytes: dumpBytes(manifest),
    durationSeconds: durationMs / 1000,
  };
}

function nextRun({ job, present, schedule }: Observed, nowMs: number): string | null {
  // After the clock was set back the coming occurrence may have run already.
  const handledMs = schedule?.handledUntilMs ?? nowMs;
  const next = present ? nextRunAt(job.schedule, Math.max(nowMs, handledMs)) : null;
  return next === null ? null : new Date(next).toISOString();
}

/** Warnings of the newest backup by code; older ones were answered by it. */
function countWarnings([newest]: readonly CatalogEntry[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { code } of newest?.manifest.warnings ?? []) {
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
}

function lastVerified(entries: readonly CatalogEntry[]): string | null {
  const instants = entries
    .map((entry) => verifiedAt(entry))
    .filter((instant) => instant !== null)
    .toSorted();
  return instants.at(-1) ?? null;
}

function findFailing(observed: Observed, lastGood: CatalogEntry | null): Failing | null {
  if (!hasFailedSince(observed, lastGood)) {
    return null;
  }
  const runs = tellingRuns(observed);
  const success = runs.findIndex(({ outcome }) => outcome === 'success');
  const failed = success === -1 ? runs : runs.slice(0, success);
  const [last] = failed;
  if (last === undefined || last.failure === null) {
    return null;
  }
  const { at, failure, retryAt } = last;
  return { ...failure, since: failed.at(-1)?.at ?? at, at, retryAt: retryAt ?? null };
}

function overdueSince(
  { schedule }: Observed,
  lastGood: CatalogEntry | null,
  { maxAgeSeconds }: Ages,
  nowMs: number,
): string | null {
  const goodMs = lastGood === null ? null : Date.parse(lastGood.manifest.finishedAt);
  const fromMs = goodMs ?? schedule?.firstSeenAtMs ?? nowMs;
  const atMs = maxAgeSeconds === null ? Infinity : fromMs + maxAgeSeconds * 1000;
  return nowMs > atMs ? new Date(atMs).toISOString() : null;
}

function firstDamage(entries: readonly CatalogEntry[]): SourceStatus['damage'] {
  const damages = entries.flatMap((entry) => {
    const damaged = isDamaged(entry)
      ? entry.receipts.findLast((receipt) => receipt.type === 'damaged')
      : undefined;
    const { id } = entry.manifest;
    return damaged === undefined ? [] : [{ since: damaged.at, id, message: damaged.message }];
  });
  return damages.toSorted((one, other) => (one.since < other.since ? -1 : 1))[0] ?? null;
}

/** The last good one may be fresh still, and the source empty all the same. */
function suspiciousNewest([newest]: readonly CatalogEntry[]): SourceStatus['suspicious'] {
  if (newest?.manifest.suspicious !== true || isPinned(newest)) {
    return null;
  }
  const { id, finishedAt } = newest.manifest;
  return { since: finishedAt, id };
}

function describeDrills(
  { job, drills }: Observed,
  lastGood: CatalogEntry | null,
  nowMs: number,
): ReturnType<typeof judgeDrills> {
  const known = drills ?? { record: NO_DRILLS, schedule: null };
  const lastGoodStartedAt = lastGood?.manifest.startedAt ?? null;
  return judgeDrills({ job, ...known, lastGoodStartedAt }, nowMs);
}
