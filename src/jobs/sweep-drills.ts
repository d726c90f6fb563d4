import { toFailure } from '../core/errors.ts';
import { listDrillStorages, removeDrillStorage } from '../store/drill-storage.ts';
import { acquireDrillLock } from '../store/lock.ts';
import { readDrillLock } from '../store/read-lock.ts';
import type { DrillApp } from './drill.ts';

const CLEARING = 'clearing up after drills';

/**
 * Removes what drills left that died, of every source of this `/backups`; one that runs is spared. What cannot be removed
 * is told, and stays for the next time.
 * @throws BackupdError `target-unavailable`, `storage-unavailable` where it cannot be listed, or the signal's reason
 */
export async function sweepDrills(
  { context, scratches }: DrillApp,
  signal: AbortSignal,
): Promise<void> {
  const { dir } = context.storage;
  const left = new Set([...(await scratches.left(signal)), ...(await listDrillStorages(dir))]);
  await Promise.all(
    [...left].map(async (source) => {
      try {
        const request = { command: `${context.command}: ${CLEARING}`, waitMs: 0 };
        await using _lock = await acquireDrillLock(dir, source, request, signal);
        const removed = await scratches.sweep(source, signal);
        await removeDrillStorage(dir, source);
        if (removed > 0) {
          const what = 'containers and volumes of a drill that died were removed';
          context.emit({ type: 'recovered', source, what });
        }
      } catch (error) {
        signal.throwIfAborted();
        const { code, message } = toFailure(error);
        if (code !== 'locked') {
          // What stays of one source keeps no other from being drilled.
          const reason = `what a drill left could not be removed: ${message}`;
          context.emit({ type: 'recovery-postponed', source, reason });
        }
      }
    }),
  );
}

/** Whether a source is drilled at this moment: not by who only clears up, which takes the same lock. */
export async function isDrilled(dir: string, source: string): Promise<boolean> {
  const holder = await readDrillLock(dir, source);
  return holder?.alive === true && !holder.command.endsWith(CLEARING);
}
