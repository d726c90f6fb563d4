import type { Attempt } from './events.ts';
import { isGood, type CatalogEntry } from './catalog-entry.ts';

/** How far a backup may lie ahead of this clock: clocks of two hosts differ by so much. */
const TOLERANCE_MS = 60_000;

/** How far an instant (ISO 8601) lies in the future, in milliseconds; 0 for one that does not. */
export function aheadMs(at: string, nowMs: number): number {
  const ms = Date.parse(at) - nowMs;
  return ms > TOLERANCE_MS ? ms : 0;
}

/**
 * The backup that `latest` means: the good one with the newest date; where that lies in the future, because a clock was
 * wrong then or is wrong now, the one that was made last as far as anybody remembers.
 * @param entries newest first
 * @param attempts newest first, by the order in which they ended
 */
export function newestGood(
  entries: readonly CatalogEntry[],
  attempts: readonly Attempt[],
  nowMs: number,
): CatalogEntry | null {
  const newest = entries.find((entry) => isGood(entry));
  if (newest === undefined || aheadMs(newest.manifest.startedAt, nowMs) === 0) {
    return newest ?? null;
  }
  for (const { id } of attempts) {
    const made = entries.find((entry) => entry.manifest.id === id && isGood(entry));
    if (made !== undefined) {
      return made;
    }
  }
  return newest;
}
