import { readJson, removeFile } from './atomic-file.ts';
import { statePath, writeState } from './state-file.ts';

/** What the scheduler must know of a source after a restart; instants ISO 8601, UTC. */
export interface StoredScheduleState {
  readonly firstSeenAt: string;
  /** Occurrences up to here are done with; null where none was. */
  readonly handledUntil: string | null;
  /** Of drills: how often the one that is due was begun without coming to an end; absent: never. */
  readonly begun?: number;
}

/** The schedule of backups, and that of drills. */
export type ScheduleKind = 'schedule' | 'drill-schedule';

/** Null where nothing is recorded; a damaged record counts as none, so the source is as good as new. */
export async function readScheduleState(
  dir: string,
  source: string,
  kind: ScheduleKind = 'schedule',
): Promise<StoredScheduleState | null> {
  const stored = await readJson(statePath(dir, kind, source));
  return stored.state === 'present' && isScheduleState(stored.value) ? stored.value : null;
}

export async function writeScheduleState(
  dir: string,
  source: string,
  state: StoredScheduleState,
  kind: ScheduleKind = 'schedule',
): Promise<void> {
  await writeState(dir, { kind, name: [source] }, state);
}

/** Where a source is forgotten. */
export async function removeScheduleState(dir: string, source: string): Promise<void> {
  await removeFile(statePath(dir, 'schedule', source));
  await removeFile(statePath(dir, 'drill-schedule', source));
}

function isScheduleState(value: unknown): value is StoredScheduleState {
  const { firstSeenAt, handledUntil } = (value ?? {}) as Partial<StoredScheduleState>;
  return isInstant(firstSeenAt) && (handledUntil === null || isInstant(handledUntil));
}

function isInstant(value: unknown): boolean {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}
