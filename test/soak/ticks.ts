import { setTimeout as pause } from 'node:timers/promises';
import type { Target } from './targets.ts';

/** What was written into a target, by our own clock. */
export interface Tick {
  readonly n: number;
  readonly beganAtMs: number;
  /** When it was there for certain; null: some sources of the target may have it, others not. */
  readonly doneAtMs: number | null;
}

/** Of each target the ticks so far, oldest first. */
export type Ticks = ReadonlyMap<Target, readonly Tick[]>;

const EVERY_MS = 2000;

/** Writes ticks into all targets until it is aborted; one that is down misses some. */
export async function keepTicking(
  targets: readonly Target[],
  ticks: ReadonlyMap<Target, Tick[]>,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    targets.map(async (target) => {
      for (let n = 1; !signal.aborted; n += 1) {
        ticks.get(target)?.push(await writeTick(target, n));
        await pause(EVERY_MS, null, { signal }).catch(() => null);
      }
    }),
  );
}

async function writeTick(target: Target, n: number): Promise<Tick> {
  const beganAtMs = Date.now();
  try {
    await target.write(n);
    return { n, beganAtMs, doneAtMs: Date.now() };
  } catch {
    // It was killed: that is what the soak is about.
    return { n, beganAtMs, doneAtMs: null };
  }
}

/**
 * What is wrong with the ticks in a backup that began and ended then: all that was there before it must be in it, and
 * nothing that was written after it. Null: nothing is.
 */
export function wrongTicks(
  written: readonly Tick[],
  found: readonly number[],
  { startedAt, finishedAt }: { readonly startedAt: string; readonly finishedAt: string },
): string | null {
  const there = new Set(found);
  const lost = written.filter(
    ({ n, doneAtMs }) => doneAtMs !== null && doneAtMs < Date.parse(startedAt) && !there.has(n),
  );
  const late = written.filter(
    ({ n, beganAtMs }) => beganAtMs > Date.parse(finishedAt) && there.has(n),
  );
  if (there.size !== found.length) {
    return `${found.length - there.size} ticks are there twice`;
  }
  if (lost.length > 0) {
    return `${lost.length} ticks of before are missing, the first is ${lost[0]?.n}`;
  }
  return late.length === 0 ? null : `tick ${late[0]?.n} is of later`;
}
