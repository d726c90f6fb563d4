import type { Job } from './job.ts';
import { formatBackupId } from './layout.ts';
import { decideRetention, type Candidate } from './retention.ts';
import { intervalMs } from './schedule.ts';

const DAY_MS = 86_400_000;
/** As far as that is looked back in the rhythm of the schedule, and day by day. */
const RUNS = 300;
const DAYS = 800;

/**
 * How many backups of a source there are once retention removes as many as are made; null where there is no end to them,
 * or none is made by itself.
 */
export function settledBackups(
  { schedule, keep }: Pick<Job, 'schedule' | 'keep'>,
  nowMs: number,
): number | null {
  const stepMs = intervalMs(schedule, nowMs);
  if (stepMs === null || keep.all) {
    return null;
  }
  const instants = new Set<number>();
  for (let run = 0; run < RUNS; run += 1) {
    instants.add(nowMs - run * stepMs);
  }
  // Further back only the first of each day matters, of a schedule that has so many.
  const dailyMs = stepMs * Math.max(1, Math.round(DAY_MS / stepMs));
  for (let day = 0; day < DAYS; day += 1) {
    instants.add(nowMs - day * dailyMs);
  }
  const candidates = [...instants].map((instant) => candidateOf(instant));
  return decideRetention(candidates, keep, schedule.timezone).filter((verdict) => verdict.keep)
    .length;
}

function candidateOf(instant: number): Candidate {
  const startedAt = new Date(instant);
  const id = formatBackupId({ startedAt, kind: 'full', suffix: '0000' });
  return {
    id,
    startedAt: startedAt.toISOString(),
    good: true,
    flaw: null,
    pinned: false,
    ahead: false,
    holds: [],
  };
}
