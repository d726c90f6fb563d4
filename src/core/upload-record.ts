import type { PlaceFacts } from './destination.ts';
import type { Failure } from './errors.ts';

/** What is remembered of the uploads to a destination. Instants are ISO 8601, UTC. */
export interface UploadRecord {
  /** What people call the place; null before it was first opened. */
  readonly place: string | null;
  /** As it was seen last. */
  readonly facts: PlaceFacts | null;
  /** Whether anything was ever put there. */
  readonly used: boolean;
  readonly lastAttempt: UploadAttempt | null;
  /** When all that was pending was there last. */
  readonly lastSuccessAt: string | null;
  /** Attempts since then. One that is begun counts until it has succeeded, so that one which ends us counts too. */
  readonly failedInRow: number;
  /** Bytes that were ever sent. */
  readonly bytesTotal: number;
  /** Attempts that ever failed, by code. */
  readonly failuresTotal: Readonly<Record<string, number>>;
  /** Backups that retention ever removed there, by source. */
  readonly removedTotal: Readonly<Record<string, number>>;
}

export interface UploadAttempt {
  readonly at: string;
  /** Null while it runs, and where it was cut off: it is to be gone on with. */
  readonly finishedAt: string | null;
  /** Null where all is there. */
  readonly failure: Failure | null;
}

export const NO_UPLOADS: UploadRecord = {
  place: null,
  facts: null,
  used: false,
  lastAttempt: null,
  lastSuccessAt: null,
  failedInRow: 0,
  bytesTotal: 0,
  failuresTotal: {},
  removedTotal: {},
};
