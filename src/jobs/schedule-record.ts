import type { ScheduleState } from '../core/schedule.ts';
import { readScheduleState, writeScheduleState } from '../store/schedule-state.ts';

/** What the scheduler noted of a source; null where it never saw it. */
export async function readSchedule(dir: string, source: string): Promise<ScheduleState | null> {
  const stored = await readScheduleState(dir, source);
  return stored === null
    ? null
    : {
        firstSeenAtMs: Date.parse(stored.firstSeenAt),
        handledUntilMs: stored.handledUntil === null ? null : Date.parse(stored.handledUntil),
      };
}

/** Notes it for `status` and for the next life. @throws BackupdError `no-space`, `storage-unavailable` */
export async function saveSchedule(
  dir: string,
  source: string,
  { firstSeenAtMs, handledUntilMs }: ScheduleState,
): Promise<void> {
  await writeScheduleState(dir, source, {
    firstSeenAt: new Date(firstSeenAtMs).toISOString(),
    handledUntil: handledUntilMs === null ? null : new Date(handledUntilMs).toISOString(),
  });
}
