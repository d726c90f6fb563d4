import { lockPlace, lookAtLock, type LockHolder, type LockPlace } from './lock-file.ts';
import { STALE_MS } from './lock-watch.ts';
import { isRunning, readOwnIdentity } from './process-identity.ts';

/**
 * Who holds the lock of a source, or null where nobody does. Whether a holder in another container lives is told by the
 * age of its heartbeat, which is good enough to show; nothing is taken over because of it.
 */
export async function readLock(dir: string, source: string): Promise<SeenHolder | null> {
  return readHolder(lockPlace(dir, 'source', source));
}

/** Who sends to a destination or removes there, as {@link readLock}. */
export async function readDestinationLock(
  dir: string,
  destination: string,
): Promise<SeenHolder | null> {
  return readHolder(lockPlace(dir, 'destination', destination));
}

/** Who drills a source, or clears up after one that died, as {@link readLock}. */
export async function readDrillLock(dir: string, source: string): Promise<SeenHolder | null> {
  return readHolder(lockPlace(dir, 'drill', source));
}

type SeenHolder = LockHolder & { readonly alive: boolean };

async function readHolder(place: LockPlace): Promise<SeenHolder | null> {
  const { held, holder, beatAtMs } = await lookAtLock(place);
  if (!held || holder === null) {
    return null;
  }
  const running = await isRunning(holder, await readOwnIdentity());
  return { ...holder, alive: running ?? Math.abs(Date.now() - beatAtMs) < STALE_MS };
}
