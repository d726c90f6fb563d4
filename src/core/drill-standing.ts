import type { DrillRecord, DrillReport } from './drill.ts';
import { formatDuration } from './duration.ts';
import type { Job } from './job.ts';
import { intervalMs, nextRunAt, type ScheduleState } from './schedule.ts';
import type { LastDrill, Measured, SourceStatus, StatusReport } from './status.ts';

/** A drill that is due may take its time, and its host may be off for a night. */
const MAX_INTERVALS = 1.5;

export interface ObservedDrills {
  readonly job: Job;
  readonly record: DrillRecord;
  readonly schedule: ScheduleState | null;
  /** When the last good backup was begun; null: there is none. */
  readonly lastGoodStartedAt: string | null;
}

/** How the restore tests of a source stand at an instant, and what they measured. */
export function judgeDrills(
  { job, record, schedule, lastGoodStartedAt }: ObservedDrills,
  nowMs: number,
): Pick<SourceStatus, 'lastDrill' | 'drill' | 'recovery'> {
  const { lastVerdict, lastSuccessAt } = record;
  const skipped = skippedLast(record);
  const nextMs = nextRunAt(job.drill, Math.max(nowMs, schedule?.handledUntilMs ?? nowMs));
  const interval = intervalMs(job.drill, nowMs);
  return {
    lastDrill: lastVerdict === null ? null : describe(lastVerdict),
    drill: {
      lastSuccessAt,
      skipped,
      nextRunAt: nextMs === null ? null : new Date(nextMs).toISOString(),
      maxAgeSeconds:
        interval === null || isWithoutKey(record)
          ? null
          : Math.round((interval * MAX_INTERVALS) / 1000),
    },
    recovery: {
      rpo: measure(
        job.rpoMs,
        lastGoodStartedAt === null ? null : nowMs - Date.parse(lastGoodStartedAt),
      ),
      rto: measure(job.rtoMs, lastVerdict?.recoveryMs ?? null),
    },
  };
}

function skippedLast({ last }: DrillRecord): SourceStatus['drill']['skipped'] {
  return last === null || last.skipped === null || last.failure === null
    ? null
    : { at: last.at, failure: last.failure };
}

/** Without its key a backup cannot be restored here: that is how it is meant to be. Of an old copy it says nothing. */
function isWithoutKey({ last }: DrillRecord): boolean {
  return (
    last !== null &&
    last.from === null &&
    last.skipped !== null &&
    last.failure?.code === 'key-missing'
  );
}

function describe({
  at,
  ok,
  id,
  from,
  recoveryMs,
  integrity,
  differences,
  ...rest
}: DrillReport): LastDrill {
  const { notCompared, notes, checks, failure } = rest;
  const compared = { integrity, differences, notCompared, notes };
  return { at, ok, id, from, recoveryMs, ...compared, checks, failure };
}

function measure(targetMs: number | null, measuredMs: number | null): Measured {
  return {
    targetSeconds: targetMs === null ? null : targetMs / 1000,
    measuredSeconds: measuredMs === null ? null : Math.max(0, Math.round(measuredMs / 100) / 10),
    met: targetMs === null || measuredMs === null ? null : measuredMs <= targetMs,
  };
}

/** What is said of drills, and of targets that are missed; none of it makes a source unhealthy: its backups are made. */
export function describeDrills(sources: readonly SourceStatus[]): StatusReport['problems'] {
  return sources.flatMap((source) => [
    ...describeFailed(source),
    ...describeMissed(source, 'rpo'),
    ...describeMissed(source, 'rto'),
  ]);
}

function describeFailed({ source, lastDrill }: SourceStatus): StatusReport['problems'] {
  return lastDrill === null || lastDrill.ok
    ? []
    : [
        {
          code: 'drill-failed',
          message: `the last drill of "${source}" failed: ${lastDrill.failure?.message ?? 'for a reason that was not recorded'}`,
          hint: lastDrill.failure?.hint ?? `Drill it again: "backupd drill ${source}".`,
        },
      ];
}

const SAID = {
  rpo: {
    what: 'the last good backup is older than is asked for',
    hint: 'Back up more often (BACKUPD_SCHEDULE), or see why it was not backed up.',
  },
  rto: {
    what: 'the last drill took longer to bring the data back than is asked for',
    hint: 'A drill has half of the processors at the most: measure again when the host is idle, or plan for a faster one.',
  },
} as const;

function describeMissed(
  { source, recovery }: SourceStatus,
  which: 'rpo' | 'rto',
): StatusReport['problems'] {
  const { targetSeconds, measuredSeconds, met } = recovery[which];
  if (met !== false) {
    return [];
  }
  const [measured, target] = [measuredSeconds ?? 0, targetSeconds ?? 0].map((seconds) =>
    formatDuration(Math.round(seconds * 1000)),
  );
  return [
    {
      code: `${which}-missed`,
      message: `${source}: ${SAID[which].what}: ${measured}, BACKUPD_${which.toUpperCase()} is ${target}`,
      hint: SAID[which].hint,
    },
  ];
}
