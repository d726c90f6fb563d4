import type { ScheduleState } from '../core/schedule.ts';
import {
  readScheduleState,
  writeScheduleState,
  type ScheduleKind,
} from '../store/schedule-state.ts';

/** What the scheduler noted of a source; null where it never saw it. */
export async function readSchedule(dir: string, source: string): Promise<ScheduleState | null> {
  return read(dir, 'schedule', source);
}

/** The same of its drills. */
export async function readDrillSchedule(
  dir: string,
  source: string,
): Promise<ScheduleState | null> {
  return read(dir, 'drill-schedule', source);
}

/** Notes it for `status` and for the next life. @throws BackupdError `no-space`, `storage-unavailable` */
export async function saveSchedule(
  dir: string,
  source: string,
  state: ScheduleState,
): Promise<void> {
  await save(dir, { kind: 'schedule', source }, state);
}

/** The same of its drills. */
export async function saveDrillSchedule(
  dir: string,
  source: string,
  state: ScheduleState,
): Promise<void> {
  await save(dir, { kind: 'drill-schedule', source }, state);
}

async function read(
  dir: string,
  kind: ScheduleKind,
  source: string,
): Promise<ScheduleState | null> {
  const stored = await readScheduleState(dir, source, kind);
  return stored === null
    ? null
    : {
        firstSeenAtMs: Date.parse(stored.firstSeenAt),
        handledUntilMs: stored.handledUntil === null ? null : Date.parse(stored.handledUntil),
      };
}

async function save(
  dir: string,
  { kind, source }: { readonly kind: ScheduleKind; readonly source: string },
  { firstSeenAtMs, handledUntilMs }: ScheduleState,
): Promise<void> {
  const state = {
    firstSeenAt: new Date(firstSeenAtMs).toISOString(),
    handledUntil: handledUntilMs === null ? null : new Date(handledUntilMs).toISOString(),
  };
  await writeScheduleState(dir, source, state, kind);
}
