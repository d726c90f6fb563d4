import type { DrillReport } from './drill.ts';
import type { Failure } from './errors.ts';
import type { BackupId } from './layout.ts';
import type { HaltReport, HookReport, Manifest, Trigger, Warning } from './manifest.ts';
import type { Engine } from './target.ts';

/** How one execution of a job ended; also the value of a metric's label. */
export type Outcome = 'success' | 'failed' | 'skipped' | 'interrupted';

/** What happened, told to listeners (log, metrics, and later notifications); the data path never waits for one. */
export type RunEvent =
  | {
      readonly type: 'backup-started';
      readonly source: string;
      readonly engine: Engine;
      readonly id: BackupId;
      readonly trigger: Trigger;
    }
  | {
      readonly type: 'backup-progress';
      readonly source: string;
      readonly stem: string;
      readonly storedBytes: number;
      readonly dumpBytes: number;
    }
  | {
      readonly type: 'backup-finished';
      readonly source: string;
      readonly manifest: Manifest;
      readonly durationMs: number;
    }
  | {
      readonly type: 'backup-failed';
      readonly source: string;
      readonly id: BackupId | null;
      readonly failure: Failure;
      readonly durationMs: number;
    }
  | { readonly type: 'backup-warning'; readonly source: string; readonly warning: Warning }
  | { readonly type: 'run-skipped'; readonly source: string; readonly reason: string }
  | { readonly type: 'retry-planned'; readonly source: string; readonly at: string }
  | {
      readonly type: 'backup-removed';
      readonly source: string;
      /** `local`, or the destination. */
      readonly where: string;
      readonly id: BackupId;
    }
  | {
      readonly type: 'prune-held';
      readonly source: string;
      /** `local`, or the destination. */
      readonly where: string;
      readonly count: number;
    }
  | {
      readonly type: 'upload-progress';
      readonly source: string;
      readonly destination: string;
      readonly id: BackupId;
      /** Of its files, those that were there before included. */
      readonly bytes: number;
      readonly totalBytes: number;
    }
  | {
      readonly type: 'uploaded';
      readonly source: string;
      readonly destination: string;
      readonly id: BackupId;
      /** Bytes of files that were sent. */
      readonly bytes: number;
      readonly durationMs: number;
    }
  | {
      readonly type: 'upload-failed';
      /** Both null: of the destination as a whole. */
      readonly source: string | null;
      readonly id: BackupId | null;
      readonly destination: string;
      readonly failure: Failure;
    }
  | {
      readonly type: 'copy-lost';
      readonly source: string;
      readonly destination: string;
      readonly id: BackupId;
      readonly message: string;
    }
  /** The clock there is far from ours. What is sent gets there all the same. */
  | {
      readonly type: 'clocks-apart';
      readonly source: null;
      readonly destination: string;
      readonly message: string;
    }
  | {
      readonly type: 'namespace-taken';
      readonly source: null;
      readonly destination: string;
      /** Whose it was; null: nobody's. */
      readonly from: string | null;
    }
  | {
      readonly type: 'restore-progress';
      readonly source: string;
      readonly stage: string;
      readonly database: string;
      readonly bytes: number | null;
      readonly totalBytes: number | null;
    }
  /** What is here is damaged, and a copy of it is fetched. */
  | {
      readonly type: 'copy-taken';
      readonly source: string;
      readonly id: BackupId;
      readonly destination: string;
      readonly why: string;
    }
  /** Archived files are on their way, and waited for. */
  | {
      readonly type: 'retrieval-awaited';
      readonly source: string;
      readonly id: BackupId;
      readonly message: string;
    }
  | {
      readonly type: 'fetched';
      readonly source: string;
      readonly id: BackupId;
      readonly destination: string;
      readonly bytes: number;
    }
  | {
      readonly type: 'restore-finished';
      readonly source: string;
      readonly id: BackupId;
      /** The container. */
      readonly into: string;
      readonly durationMs: number;
    }
  | {
      readonly type: 'verify-progress';
      readonly source: string;
      readonly id: BackupId;
      readonly bytes: number;
      readonly totalBytes: number;
    }
  | {
      readonly type: 'verified';
      readonly source: string;
      readonly id: BackupId;
      /** Null: it is whole. */
      readonly failure: Failure | null;
    }
  | { readonly type: 'drill-started'; readonly source: string; readonly id: BackupId }
  | { readonly type: 'drill-finished'; readonly source: string; readonly report: DrillReport }
  | {
      readonly type: 'halted';
      readonly source: string;
      readonly container: string;
      readonly how: HaltReport['how'];
    }
  | ({ readonly type: 'released'; readonly source: string } & HaltReport)
  | {
      readonly type: 'hook-ended';
      readonly source: string;
      readonly container: string;
      readonly report: HookReport;
    }
  | { readonly type: 'recovered'; readonly source: string; readonly what: string }
  | { readonly type: 'recovery-postponed'; readonly source: string; readonly reason: string };

export type Emit = (event: RunEvent) => void;

/** The last attempts of a source, also those that left no backup; written by whichever process ran them. */
export interface Attempt {
  readonly at: string;
  readonly finishedAt: string;
  readonly outcome: Outcome;
  readonly trigger: Trigger;
  readonly id: BackupId | null;
  readonly failure: Failure | null;
  /** When the daemon tries again: the failure does not count yet. Null or absent: it counts. */
  readonly retryAt?: string | null;
}
