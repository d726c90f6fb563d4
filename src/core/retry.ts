import { backOffMs } from './back-off.ts';
import { FAILURES, type FailureCode } from './errors.ts';
import type { Attempt } from './events.ts';
import type { Trigger } from './manifest.ts';

/** A try after one that left no backup. */
export interface NextTry {
  readonly atMs: number;
  /** Whether the failure counts all the same: what is wrong does not pass by itself, or was tried often enough. */
  readonly counts: boolean;
}

export interface FailedTry {
  readonly trigger: Trigger;
  readonly code: FailureCode;
  /** Which one of the same occurrence it was, from 1. */
  readonly number: number;
  readonly endedAtMs: number;
  /** When the schedule has the source run next; null: never. */
  readonly nextRunAtMs: number | null;
}

/** It is tried again after a minute, then after twice as long each time, at least every hour. */
const BACK_OFF = { leastMs: 60_000, mostMs: 3_600_000 };
/** Of one occurrence, the first one included: the last one is fifteen minutes after it. */
const MOST_TRIES = 5;

/**
 * When a run that left no backup is tried again; null: not before the schedule says so. A first backup is wanted until it
 * is there, whatever keeps it from being made.
 */
export function nextTry(failed: FailedTry): NextTry | null {
  const { trigger, code, number, endedAtMs, nextRunAtMs } = failed;
  const atMs = endedAtMs + backOffMs(number, BACK_OFF);
  const counts =
    !FAILURES[code].retryable ||
    number >= MOST_TRIES ||
    (nextRunAtMs !== null && atMs >= nextRunAtMs);
  return counts && trigger !== 'first' ? null : { atMs, counts };
}

/** How many tries of the same occurrence failed last, as far as it was to be tried again. */
export function triesInRow(attempts: readonly Pick<Attempt, 'retryAt'>[]): number {
  const end = attempts.findIndex(({ retryAt }) => (retryAt ?? null) === null);
  return end === -1 ? attempts.length : end;
}
