import type { ScheduleState } from '../core/schedule.ts';
import {
  readScheduleState,
  writeScheduleState,
  type StoredScheduleState,
} from '../store/schedule-state.ts';

/** How far the drills of a source have been dealt with. */
export interface DrillSchedule extends ScheduleState {
  /** How often the one that is due was begun without coming to an end: it may be what ends the daemon. */
  readonly begun: number;
}

/** What the scheduler noted of a source; null where it never saw it. */
export async function readSchedule(dir: string, source: string): Promise<ScheduleState | null> {
  const stored = await readScheduleState(dir, source, 'schedule');
  return stored === null ? null : toState(stored);
}

/** The same of its drills. */
export async function readDrillSchedule(
  dir: string,
  source: string,
): Promise<DrillSchedule | null> {
  const stored = await readScheduleState(dir, source, 'drill-schedule');
  return stored === null ? null : { ...toState(stored), begun: stored.begun ?? 0 };
}

/** Notes it for `status` and for the next life. @throws BackupdError `no-space`, `storage-unavailable` */
export async function saveSchedule(
  dir: string,
  source: string,
  state: ScheduleState,
): Promise<void> {
  await writeScheduleState(dir, source, toStored(state), 'schedule');
}

/** The same of its drills. */
export async function saveDrillSchedule(
  dir: string,
  source: string,
  { begun, ...state }: DrillSchedule,
): Promise<void> {
  const stored = { ...toStored(state), ...(begun === 0 ? {} : { begun }) };
  await writeScheduleState(dir, source, stored, 'drill-schedule');
}

function toState({ firstSeenAt, handledUntil }: StoredScheduleState): ScheduleState {
  return {
    firstSeenAtMs: Date.parse(firstSeenAt),
    handledUntilMs: handledUntil === null ? null : Date.parse(handledUntil),
  };
}

function toStored({ firstSeenAtMs, handledUntilMs }: ScheduleState): StoredScheduleState {
  return {
    firstSeenAt: new Date(firstSeenAtMs).toISOString(),
    handledUntil: handledUntilMs === null ? null : new Date(handledUntilMs).toISOString(),
  };
}
