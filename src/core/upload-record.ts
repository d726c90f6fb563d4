import { backOffMs } from './back-off.ts';
import type { PlaceFacts } from './destination.ts';
import type { Failure } from './errors.ts';
import type { Schedule } from './job.ts';
import { nextRunAt } from './schedule.ts';

/** What is remembered of the uploads to a destination. Instants are ISO 8601, UTC. */
export interface UploadRecord {
  /** What people call the place; null before it was first opened. */
  readonly place: string | null;
  /** As it was seen last. */
  readonly facts: PlaceFacts | null;
  /** Whether anything was ever put there. */
  readonly used: boolean;
  readonly lastAttempt: UploadAttempt | null;
  /** Why the last attempt that came to its end failed; null: it did not, or there was none. */
  readonly failure: Failure | null;
  /** When all that was pending was there last. */
  readonly lastSuccessAt: string | null;
  /** Attempts since then. One that is begun counts until it has succeeded, so that one which ends us counts too. */
  readonly failedInRow: number;
  /** Bytes that were ever sent. */
  readonly bytesTotal: number;
  /** Attempts that ever failed, by code. */
  readonly failuresTotal: Readonly<Record<string, number>>;
  /** Why retention did not come to its end there last; null: it did. */
  readonly retentionFailure: Failure | null;
  /** The place where rules of ours were set, as it is called; null: nowhere. */
  readonly rulesAt: string | null;
  /** Backups that retention ever removed there, by source. */
  readonly removedTotal: Readonly<Record<string, number>>;
}

export interface UploadAttempt {
  readonly at: string;
  /** Null while it runs, and where it was cut off: it is to be gone on with. */
  readonly finishedAt: string | null;
}

export const NO_UPLOADS: UploadRecord = {
  place: null,
  facts: null,
  used: false,
  lastAttempt: null,
  failure: null,
  lastSuccessAt: null,
  failedInRow: 0,
  bytesTotal: 0,
  failuresTotal: {},
  retentionFailure: null,
  rulesAt: null,
  removedTotal: {},
};

/** A failed attempt is made again after a minute, then after twice as long each time, at least every hour. */
const BACK_OFF = { leastMs: 60_000, mostMs: 3_600_000 };
/** An attempt that was cut off is gone on with at once, but for one that may be what ends us. */
const MOST_CUT_OFF = 3;

/**
 * When the next upload to a destination is due; null: never by itself. What was missed while nothing ran is made up for
 * whenever that was: it is wanted still.
 * @param isWanted whether anything is pending: a destination that was never tried gets its first copies at once
 */
export function uploadDueAt(
  schedule: Schedule,
  record: Pick<UploadRecord, 'lastAttempt' | 'failure' | 'failedInRow'>,
  isWanted: boolean,
  nowMs: number,
): number | null {
  const next = nextRunAt(schedule, nowMs);
  if (next === null) {
    return null;
  }
  const { lastAttempt, failure, failedInRow } = record;
  if (lastAttempt === null) {
    return isWanted ? nowMs : next;
  }
  const { at, finishedAt } = lastAttempt;
  if (finishedAt === null && failedInRow <= MOST_CUT_OFF) {
    return nowMs;
  }
  // A clock that was set back leaves instants in the future.
  const endedMs = Math.min(nowMs, Date.parse(finishedAt ?? at));
  if (finishedAt === null || failure !== null) {
    // The first after it: that one may be over already.
    return Math.min(
      nextRunAt(schedule, endedMs) ?? next,
      endedMs + backOffMs(failedInRow, BACK_OFF),
    );
  }
  return nextRunAt(schedule, Math.min(nowMs, Date.parse(at))) ?? next;
}
