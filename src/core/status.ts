import type { ChannelName } from './channel.ts';
import type { CheckVerdict } from './drill.ts';
import type { Failure, FailureCode } from './errors.ts';
import type { Outcome } from './events.ts';
import type { Difference } from './facts.ts';
import type { BackupId } from './layout.ts';
import type { Engine } from './target.ts';

export type SourceState = 'ok' | 'running' | 'overdue' | 'failed' | 'never' | 'missing';

/** How the last restore or undo of a source ended. */
export interface LastRestore {
  /** When it ended. */
  readonly at: string;
  /** Null for an undo, and where a process died early in it. */
  readonly id: string | null;
  readonly outcome: 'success' | 'failed' | 'interrupted';
  readonly code: FailureCode | null;
  readonly message: string | null;
}

/** How the last restore test of a source ended. */
export interface LastDrill {
  readonly at: string;
  readonly ok: boolean;
  readonly id: string | null;
  /** The destination whose copy was restored; null: what is here. */
  readonly from: string | null;
  readonly recoveryMs: number | null;
  /** Null where nothing could be compared, which is less than it passes for. */
  readonly integrity: number | null;
  readonly differences: readonly Difference[];
  readonly notCompared: readonly string[];
  readonly notes: readonly string[];
  readonly checks: readonly CheckVerdict[];
  readonly failure: Failure | null;
}

/** How the restore tests of a source stand. */
export interface DrillStanding {
  readonly lastSuccessAt: string | null;
  /** Why the last one could not be tried; null: it was. */
  readonly skipped: { readonly at: string; readonly failure: Failure } | null;
  readonly nextRunAt: string | null;
  /** Beyond which the last success is too old; null: they are off, or cannot be. */
  readonly maxAgeSeconds: number | null;
}

/** What is asked for, what was measured, and whether that is enough; null where one of them is not known. */
export interface Measured {
  readonly targetSeconds: number | null;
  readonly measuredSeconds: number | null;
  readonly met: boolean | null;
}

/** How one source stands; instants ISO 8601 UTC, absent values null. */
export interface SourceStatus {
  readonly source: string;
  readonly engine: Engine | null;
  readonly state: SourceState;
  /** Whether this source alone makes `status` unhealthy. */
  readonly healthy: boolean;
  readonly lastSuccessAt: string | null;
  readonly lastSuccessId: BackupId | null;
  readonly ageSeconds: number | null;
  /** Beyond which it is overdue; null: never. */
  readonly maxAgeSeconds: number | null;
  readonly intervalSeconds: number | null;
  readonly sizeBytes: number | null;
  readonly dumpBytes: number | null;
  readonly durationSeconds: number | null;
  readonly nextRunAt: string | null;
  readonly lastAttempt: {
    readonly at: string;
    readonly outcome: Outcome;
    readonly code: FailureCode | null;
    readonly message: string | null;
  } | null;
  /** The failures since the last success; null where the last run that ended by itself succeeded. */
  readonly failing: Failing | null;
  /** When its last good backup became too old, or it was seen for too long without one; null: it is not overdue. */
  readonly overdueSince: string | null;
  /** Null where there was none. */
  readonly lastRestore: LastRestore | null;
  readonly copies: readonly CopyStatus[];
  /** The last drill that was a verdict; one that was skipped does not take its place. */
  readonly lastDrill: LastDrill | null;
  readonly drill: DrillStanding;
  /** What is asked for beside what was measured. */
  readonly recovery: { readonly rpo: Measured; readonly rto: Measured };
  readonly threeTwoOne: { readonly holds: boolean; readonly missing: readonly string[] };
  /** Names of what restores replaced and kept. */
  readonly previous: readonly string[];
  readonly backups: number;
  readonly storedBytes: number;
  readonly warnings: Readonly<Record<string, number>>;
  readonly runsTotal: Readonly<Record<Outcome, number>>;
  readonly removedTotal: number;
  /** Why retention did not come to its end here; null: it did. */
  readonly retentionFailure: Failure | null;
  /** Newest verification that passed. */
  readonly lastVerifiedAt: string | null;
  readonly damagedBackups: number;
  /** The first of those that was found; null: there is none. */
  readonly damage: {
    readonly since: string;
    readonly id: BackupId;
    readonly message: string;
  } | null;
  /** The newest backup where it is suspicious, and nobody said that it is right. */
  readonly suspicious: { readonly since: string; readonly id: BackupId } | null;
}

/** Runs of a source that failed, with nothing good since. */
export interface Failing extends Failure {
  /** When the first one began. */
  readonly since: string;
  /** When the last one began. */
  readonly at: string;
  /** When the daemon tries again, and the failure does not count yet; null: it counts. */
  readonly retryAt: string | null;
}

/** How the copies of a source stand at a destination. */
export interface CopyStatus {
  readonly destination: string;
  /** `lost`: one that is wanted there was, and is missing or altered. */
  readonly state: 'ok' | 'pending' | 'lost';
  /** When the newest of them was sent; null: there is none. */
  readonly at: string | null;
  readonly pendingBackups: number;
  readonly pendingBytes: number;
  /** When the oldest backup that is pending was done; null: none is. */
  readonly oldestPendingAt: string | null;
}

/** How one destination stands, as far as is known without asking it. */
export interface DestinationStatus {
  readonly destination: string;
  readonly kind: 's3' | 'directory';
  /** What people call it; null before it was first reached. */
  readonly place: string | null;
  readonly state: 'ok' | 'running' | 'pending' | 'overdue' | 'failed' | 'lost' | 'never';
  /** Whether this destination alone makes `status` unhealthy. */
  readonly healthy: boolean;
  /** Null before it was first reached. */
  readonly isOffsite: boolean | null;
  /** When all that was wanted was there last. */
  readonly lastSuccessAt: string | null;
  readonly lastAttempt: {
    readonly at: string;
    readonly outcome: 'success' | 'failed' | 'interrupted' | 'running';
  } | null;
  /** Why the last upload that came to its end failed; null: it did not. */
  readonly failure: Failure | null;
  /** Uploads since the last one that got everything there. */
  readonly failedInRow: number;
  readonly nextRunAt: string | null;
  readonly pendingBackups: number;
  readonly pendingBytes: number;
  readonly oldestPendingAt: string | null;
  /** How long a backup may wait to be sent; null: for ever, since it is sent by hand. */
  readonly maxAgeSeconds: number | null;
  readonly bytesTotal: number;
  readonly failuresTotal: Readonly<Record<string, number>>;
  /** By source. */
  readonly removedTotal: Readonly<Record<string, number>>;
  /** Why retention did not come to its end there; null: it did. */
  readonly retentionFailure: Failure | null;
}

/** How one channel stands, through which people are told. */
export interface ChannelStatus {
  readonly channel: ChannelName;
  readonly lastSentAt: string | null;
  /** Why the last message could not be sent; null: it was, or there was none. */
  readonly failure: { readonly at: string; readonly message: string } | null;
  readonly failedInRow: number;
  readonly failuresTotal: number;
  readonly tryAgainAt: string | null;
}

export interface StatusReport {
  readonly healthy: boolean;
  readonly sources: readonly SourceStatus[];
  readonly destinations: readonly DestinationStatus[];
  readonly problems: readonly {
    readonly code: string;
    readonly message: string;
    readonly hint: string | null;
  }[];
}
