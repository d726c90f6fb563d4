/** How often a holder shows that it lives. */
export const BEAT_MS = 2000;
/** A holder whose heartbeat was not seen for so long is dead. */
export const STALE_MS = 6000;
/** How often somebody who waits looks. */
export const LOOK_MS = 200;

/** What was seen so far of a holder whose process cannot be looked at from here. */
export interface Watch {
  readonly mark: string;
  readonly lookedAtMs: number;
  /** How long we have seen no change; never by wall clocks, which jump and differ between hosts. */
  readonly silentMs: number;
  /** Whether a change was seen: it lives. */
  readonly alive: boolean;
}

/**
 * Goes on watching after one more look. A pause between two looks counts as a short one: whoever was stopped together
 * with the holder must give it time to go on.
 * @param atMs of a monotonic clock
 */
export function watchOn(watch: Watch | null, mark: string, atMs: number): Watch {
  if (watch === null) {
    return { mark, lookedAtMs: atMs, silentMs: 0, alive: false };
  }
  if (watch.mark !== mark) {
    return { mark, lookedAtMs: atMs, silentMs: 0, alive: true };
  }
  const pauseMs = Math.min(atMs - watch.lookedAtMs, 5 * LOOK_MS);
  return { ...watch, lookedAtMs: atMs, silentMs: watch.silentMs + pauseMs };
}

/** What a watch says of the holder: `unknown` until it was watched for long enough. */
export function judgeWatch(watch: Watch): 'alive' | 'dead' | 'unknown' {
  if (watch.silentMs >= STALE_MS) {
    return 'dead';
  }
  return watch.alive ? 'alive' : 'unknown';
}
