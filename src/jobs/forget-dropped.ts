import type { Source } from '../core/source.ts';
import { isSameTarget, type TargetRef } from '../core/target.ts';
import { readPrevious, removePrevious } from '../store/previous.ts';

/**
 * Forgets what restores kept in a target and is not there any more: dropped by hand, or gone with the server's volume.
 * Without this `status` would name it for ever. The caller holds the source's lock.
 */
export async function forgetDropped(
  source: Source,
  target: TargetRef,
  dir: string,
  signal: AbortSignal,
): Promise<void> {
  const recorded = (await readPrevious(dir, source.name)).filter(({ databases }) =>
    databases.some(({ kept }) => kept !== null),
  );
  // Almost always: then the server need not be asked.
  if (recorded.length === 0) {
    return;
  }
  const there = new Set((await source.restorer.previous(target, signal)).map(({ run }) => run));
  for (const { run, target: at } of recorded) {
    const now = there.has(run) ? null : await source.refind(at, signal);
    if (now !== null && isSameTarget(now, target)) {
      await removePrevious(dir, source.name, run);
    }
  }
}
