import type { FailureCode } from './errors.ts';
import type { BackupId } from './layout.ts';
import type { SourceStatus, StatusReport } from './status.ts';

/** What the status page shows, and `/api/status` is: the report of `status`, and more. */
export interface PageReport extends StatusReport {
  /** When this was true. */
  readonly at: string;
  readonly version: string;
  readonly namespace: string;
  /** The container of backupd, as `docker exec` names it. */
  readonly container: string;
  /** IANA name; in it people think. */
  readonly timezone: string;
  readonly sources: readonly PageSource[];
  /** Who holds a source or a destination now, and for what. */
  readonly running: readonly RunningWork[];
  /** Newest first. */
  readonly failures: readonly RecentFailure[];
  /** Where the backups are; null where that cannot be told. */
  readonly disk: { readonly freeBytes: number; readonly sizeBytes: number } | null;
}

export interface PageSource extends SourceStatus {
  /** Its last backups, oldest first. */
  readonly history: readonly HistoryEntry[];
  /** What to type to have its latest backup restored. */
  readonly restoreCommand: string;
}

export interface HistoryEntry {
  readonly id: BackupId;
  readonly at: string;
  /** Stored. */
  readonly sizeBytes: number;
  /** Whether it can be `latest`. */
  readonly good: boolean;
}

export interface RunningWork {
  readonly source: string | null;
  readonly destination: string | null;
  /** What a person would call who does it: `daemon`, `restore db`. */
  readonly command: string;
  readonly since: string;
}

/** A run that failed; the same failure of one source in a row is one. */
export interface RecentFailure {
  readonly source: string;
  /** When the last one began. */
  readonly at: string;
  /** When the first one began. */
  readonly since: string;
  readonly count: number;
  readonly what: 'backup' | 'restore';
  readonly code: FailureCode | null;
  readonly message: string;
  readonly hint: string | null;
  /** Whether there is a good backup that is newer. */
  readonly over: boolean;
}
