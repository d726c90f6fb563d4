import type { RetentionPolicy, Schedule } from './job.ts';
import type { Secret } from './secret.ts';
import { toVariableName } from './layout.ts';

/** The destination that has variables of its own. */
export const S3 = 's3';
/** How its variables begin, and those of all others, whose names follow. */
export const S3_PREFIX = 'BACKUPD_S3_';
export const DESTINATION_PREFIX = 'BACKUPD_DEST_';

/** How the variables of a destination begin: `BACKUPD_S3_`, `BACKUPD_DEST_NAS_`. */
export function variablesOf(destination: string): string {
  return destination === S3 ? S3_PREFIX : `${DESTINATION_PREFIX}${toVariableName(destination)}_`;
}

/** Everything configured about one destination. */
export interface DestinationSettings {
  readonly name: string;
  readonly place: BucketSettings | DirectorySettings;
  /** When copies are sent to it. */
  readonly schedule: Schedule;
  /** What is sent to it and kept there; null: as each source keeps here. */
  readonly keep: RetentionPolicy | null;
  /** Bytes per second that are sent to it at most; null: as many as go. */
  readonly rateBytes: number | null;
  /** Whether it is away from here; null: judged by its endpoint. */
  readonly isOffsite: boolean | null;
  /** Where buckets may be; null: anywhere. */
  readonly allowedRegions: readonly string[] | null;
}

export interface BucketSettings {
  readonly kind: 's3';
  readonly bucket: string;
  /** Before every key, without slashes at its ends; empty: none. */
  readonly prefix: string;
  /** `https://minio.example.com:9000`; null: AWS. */
  readonly endpoint: string | null;
  /** Null: as the AWS variables and files say, for AWS. */
  readonly region: string | null;
  /** Of files; null: STANDARD_IA on AWS, none elsewhere. */
  readonly storageClass: string | null;
  /** Whether the bucket is in the path and not in the host; null: for all but AWS. */
  readonly pathStyle: boolean | null;
  readonly lifecycle: Lifecycle | null;
  readonly objectLock: ObjectLock | null;
  /** Certificates that are trusted besides the usual ones, PEM. */
  readonly ca: string | null;
  /** Null: the standard AWS chain. */
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: Secret<string>;
  } | null;
}

export interface DirectorySettings {
  readonly kind: 'directory';
  readonly path: string;
}

/** What the store is told to do by itself; at least one of the two. */
export interface Lifecycle {
  /** Classes that archives are moved to, in the order of their days. */
  readonly moves: readonly LifecycleMove[];
  /** Age in days at which what retention gave up is deleted; null: retention deletes it itself, at once. */
  readonly expireDays: number | null;
}

export interface LifecycleMove {
  /** As the store calls it: `GLACIER`. */
  readonly storageClass: string;
  /** Age of an archive. */
  readonly days: number;
}

export interface ObjectLock {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE';
  readonly days: number;
}
