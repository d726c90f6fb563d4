import { rename } from 'node:fs/promises';
import type { Attempt, Outcome } from '../core/events.ts';
import { toFailure, type Failure } from '../core/errors.ts';
import { readJson } from './atomic-file.ts';
import { acquireStateLock } from './lock.ts';
import { spendReserve } from './reserve.ts';
import { statePath, writeState } from './state-file.ts';
import { onStorage } from './storage-error.ts';

/** What is remembered of the runs of a source. */
export interface AttemptRecord {
  /** Newest first, the last fifty. */
  readonly attempts: readonly Attempt[];
  /** How many runs ever ended so; never go down. */
  readonly totals: Readonly<Record<Outcome, number>>;
  /** How many backups retention ever removed. */
  readonly removedTotal: number;
  /** Why retention did not come to its end here last; absent: it did. */
  readonly retentionFailure?: Failure;
}

const REMEMBERED = 50;

const NOTHING: AttemptRecord = {
  attempts: [],
  totals: { success: 0, failed: 0, skipped: 0, interrupted: 0 },
  removedTotal: 0,
};

/**
 * Adds an attempt to the record of a source; where the disk is full, in the room that was reserved for this.
 * @throws BackupdError `no-space`, `storage-unavailable`
 */
export async function recordAttempt(dir: string, source: string, attempt: Attempt): Promise<void> {
  function add(record: AttemptRecord): AttemptRecord {
    const { attempts, totals } = record;
    return {
      ...record,
      attempts: [attempt, ...attempts].slice(0, REMEMBERED),
      totals: { ...totals, [attempt.outcome]: totals[attempt.outcome] + 1 },
    };
  }
  try {
    await change(dir, source, add);
  } catch (error) {
    if (toFailure(error).code !== 'no-space') {
      throw error;
    }
    await spendReserve(dir);
    await change(dir, source, add);
  }
}

/** Counts backups that retention removed. @throws BackupdError `no-space`, `storage-unavailable` */
export async function countRemoved(dir: string, source: string, count: number): Promise<void> {
  await change(dir, source, (record) => ({
    ...record,
    removedTotal: record.removedTotal + count,
  }));
}

/** Writes down how retention ended; null: well. @throws BackupdError `no-space`, `storage-unavailable` */
export async function recordRetention(
  dir: string,
  source: string,
  failure: Failure | null,
): Promise<void> {
  const before = await readAttempts(dir, source);
  if (JSON.stringify(before.retentionFailure) !== JSON.stringify(failure ?? undefined)) {
    await change(dir, source, ({ retentionFailure: _before, ...record }) => ({
      ...record,
      ...(failure === null ? {} : { retentionFailure: failure }),
    }));
  }
}

/** The record of a source; nothing where it is missing or damaged, which the catalog reports. */
export async function readAttempts(dir: string, source: string): Promise<AttemptRecord> {
  return (await read(statePath(dir, 'attempts', source))) ?? NOTHING;
}

/** Runs end in several processes: each reads and writes under a lock. */
async function change(
  dir: string,
  source: string,
  step: (record: AttemptRecord) => AttemptRecord,
): Promise<void> {
  await using _lock = await acquireStateLock(dir, `attempts-${source}`);
  const path = statePath(dir, 'attempts', source);
  const record = await read(path);
  if (record === null) {
    // Kept for whoever wants to know what was in it; the name makes it a problem that `check` reports.
    await onStorage(path, () => rename(path, `${path}.damaged`));
  }
  await writeState(dir, { kind: 'attempts', name: [source] }, step(record ?? NOTHING));
}

/** Null where it is damaged. */
async function read(path: string): Promise<AttemptRecord | null> {
  const stored = await readJson(path);
  if (stored.state === 'absent') {
    return NOTHING;
  }
  return stored.state === 'present' && isRecord(stored.value) ? stored.value : null;
}

function isRecord(value: unknown): value is AttemptRecord {
  const { attempts, totals, removedTotal } = (value ?? {}) as Partial<AttemptRecord>;
  return (
    Array.isArray(attempts) &&
    typeof removedTotal === 'number' &&
    Object.keys(NOTHING.totals).every((outcome) => typeof totals?.[outcome as Outcome] === 'number')
  );
}
