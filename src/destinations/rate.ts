import { setTimeout as wait } from 'node:timers/promises';

/** Lets bytes go by their turn. */
export interface Rate {
  /** How many bytes to ask for at a time, so that they go evenly. */
  readonly sliceBytes: number;
  /** Resolves when so many bytes may go; those who ask first go first. */
  take(bytes: number, signal: AbortSignal): Promise<void>;
}

const SLICES_PER_SECOND = 20;
const SMALLEST_SLICE_BYTES = 4096;
const LARGEST_SLICE_BYTES = 256 * 1024;

/** The time that passes, whatever the clock is set to. */
export interface Pace {
  /** Milliseconds since some beginning. */
  now(): number;
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

const REAL: Pace = {
  now: () => performance.now(),
  wait: async (ms, signal) => wait(ms, undefined, { signal }),
};

/** At most so many bytes per second, for all that share it together. */
export function rateOf(bytesPerSecond: number, pace = REAL): Rate {
  let freeAt = 0;
  return {
    sliceBytes: Math.max(
      SMALLEST_SLICE_BYTES,
      Math.min(LARGEST_SLICE_BYTES, Math.floor(bytesPerSecond / SLICES_PER_SECOND)),
    ),
    async take(bytes, signal) {
      const now = pace.now();
      const at = Math.max(now, freeAt);
      freeAt = at + (bytes / bytesPerSecond) * 1000;
      if (at > now) {
        await pace.wait(at - now, signal);
      }
    },
  };
}

/** A body in pieces that go by their turn. */
export async function* paced(
  body: Uint8Array,
  rate: Rate,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < body.length; from += rate.sliceBytes) {
    const slice = body.subarray(from, from + rate.sliceBytes);
    await rate.take(slice.length, signal);
    yield slice;
  }
}
