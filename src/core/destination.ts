import type { Readable } from 'node:stream';
import type { StoreLifecycle } from './lifecycle.ts';

/**
 * A place off this host that keeps copies of backups: a bucket of an S3-compatible store, or a directory on another
 * disk. It knows keys and bytes, and nothing of backups.
 *
 * Keys are relative to the place's own prefix: `demo/db/20261122T020000Z-full-3fa9/manifest.json`. Their parts are
 * separated by `/`, none is empty, `.` or `..`, the first does not begin with `.`; every other character may be in them.
 *
 * What holds for all methods:
 * - Nothing is tried again by a caller at once: a transient failure was ridden out where that is possible.
 * - An aborted signal ends them with its reason; nothing of theirs runs on when they have rejected.
 * - They throw BackupdError: `destination-unavailable` (unreachable, not mounted, no such bucket, clocks too far apart,
 *   what it answered is no answer), `destination-denied` (the message names the action that was denied, as a policy calls
 *   it: `s3:PutObject`), `no-space` (a directory whose disk is full), `config-invalid` (the place cannot be what it is
 *   configured as: wrong region, a region that is not allowed, the disk of `/backups` itself).
 * - What writes looks first, once, whether it may write there at all; reading is always allowed.
 */
export interface Destination {
  readonly name: string;
  readonly kind: 's3' | 'directory';
  /** What people call the place: `s3://bucket/prefix at minio.example.com`, `/mnt/nas`. */
  readonly place: string;
  /** What the place does by itself with objects as they age; null: a directory, which does nothing. */
  readonly lifecycle: StoreLifecycle | null;

  /** Asks what kind of place it is now; changes nothing. */
  inspect(signal: AbortSignal): Promise<PlaceFacts>;

  /**
   * Puts a finished file under a key; resolves once the destination holds all of it, durably. Atomic: nobody ever sees a
   * part of it under the key. Idempotent: where the very same object is there already nothing is sent. Resumable: after a
   * crash, a failure or an abort the same call goes on with the parts that the destination has.
   *
   * The file is the caller's and must not change meanwhile. What is sent is hashed: a file that is not what its SHA-256
   * says is never put (`archive-corrupt`).
   */
  putFile(
    key: string,
    file: FileToPut,
    how: PutFileOptions,
    signal: AbortSignal,
  ): Promise<PutResult>;

  /**
   * Puts a few bytes (a manifest, a receipt, the owner): atomically, durably, in the class that is read at once. Replaces
   * what is there; with `ifAbsent` it does not, and says `exists`. That holds between two writers at once, but for stores
   * and file systems that have no such request: there both see what was there before, and the last of two stays.
   */
  put(
    key: string,
    bytes: Uint8Array,
    how: { readonly ifAbsent: boolean },
    signal: AbortSignal,
  ): Promise<'put' | 'exists'>;

  /**
   * The names directly below a prefix (empty, or with `/` at its end) that have something below them, without a look at
   * all of it; also those of which only earlier versions are left.
   */
  listFolders(prefix: string, signal: AbortSignal): Promise<readonly string[]>;

  /** All objects whose keys begin with this, in any order; fetched page by page while it is iterated. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<ListedObject>;

  /**
   * All versions and delete markers of keys that begin with this, of one key newest first. Where the place keeps no
   * versions: what `list` gives, with `versionId` null.
   */
  listVersions(prefix: string, signal: AbortSignal): AsyncIterable<ListedVersion>;

  /** What is known of an object; null where there is none. @param versionId null: the newest one */
  head(key: string, versionId: string | null, signal: AbortSignal): Promise<ObjectFacts | null>;

  /**
   * A small object whole, at most 64 MiB; null where there is none. @param versionId null: the newest one
   * @throws BackupdError also `retrieval-pending`, and `archive-corrupt` where its bytes are not those that it was put with
   */
  get(key: string, versionId: string | null, signal: AbortSignal): Promise<Buffer | null>;

  /**
   * A range of an object as `head` found it. The stream is the caller's; it ends after exactly these bytes and is
   * destroyed with an error otherwise: also where the object was replaced since, or the answer stalls.
   * @throws BackupdError also `retrieval-pending` where it is archived and was not asked back
   */
  read(
    object: Pick<ObjectFacts, 'key' | 'versionId' | 'etag'>,
    range: ByteRange,
    signal: AbortSignal,
  ): Promise<Readable>;

  /**
   * Asks for the return of an object that is archived. Idempotent: one that is on its way is `returning`, one that can be
   * read `readable`.
   * @param how `days`: for how long it can then be read
   * @throws BackupdError also `usage` where its class does not come back in that way
   */
  retrieve(
    object: Pick<ObjectFacts, 'key' | 'versionId'>,
    how: { readonly tier: RetrievalTier; readonly days: number },
    signal: AbortSignal,
  ): Promise<'readable' | 'returning'>;

  /**
   * Removes one object, or one version of it for good. Idempotent: what is not there is `removed`.
   * @param versionId null: where versions are kept the object is only hidden, which the result says
   */
  remove(key: string, versionId: string | null, signal: AbortSignal): Promise<Removal>;

  /** Uploads of keys that begin with this which were begun and not finished. Some stores tell of exact keys only. */
  listUploads(prefix: string, signal: AbortSignal): AsyncIterable<UnfinishedUpload>;

  /** Ends an unfinished upload and frees what it holds. Idempotent. */
  abortUpload(
    upload: Pick<UnfinishedUpload, 'key' | 'uploadId'>,
    signal: AbortSignal,
  ): Promise<void>;
}

/** A place as it is now. */
export interface PlaceFacts {
  /** Where the bucket really is, as the store says: `eu-central-1`; null where it says nothing, and for a directory. */
  readonly region: string | null;
  /** As configured; else true only where the endpoint's addresses are public. */
  readonly isOffsite: boolean;
  /** Whether what is replaced or deleted stays behind as a version; null where that may not be asked. */
  readonly keepsVersions: boolean | null;
  /** Whether objects are locked when they are written, by our settings or the bucket's own; null where it does not say. */
  readonly locksObjects: boolean | null;
  /** By how much the store's clock is ahead of ours, to the second; null for a directory. */
  readonly clockAheadMs: number | null;
}

/** A file on our own disk. */
export interface FileToPut {
  readonly path: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

export interface PutFileOptions {
  /** Of this key alone, kept by the caller until the object was put. */
  readonly journal: UploadJournal;
  /**
   * ETag of an object under this key that is known not to be this file: it is replaced whatever its metadata say. Null:
   * nothing is known against what may be there.
   */
  readonly wrongEtag: string | null;
  /** Told whenever there is more: bytes of this file that the destination has, those it had before included. */
  readonly onProgress: (doneBytes: number) => void;
}

/** Where an upload writes down what it takes to go on with it after a crash. */
export interface UploadJournal {
  /** Null where nothing is recorded, or nothing that can be read: then it begins anew. */
  read(): Promise<UploadState | null>;
  /** Durable before it resolves; replaces what was recorded. Never called twice at once. */
  write(state: UploadState): Promise<void>;
  /** Idempotent. */
  clear(): Promise<void>;
}

/** Plain JSON. */
export interface UploadState {
  readonly key: string;
  readonly uploadId: string;
  readonly partBytes: number;
  readonly bytes: number;
  readonly sha256: string;
  /** What the store called the parts that it took, as far as that was recorded: others are compared with the file. */
  readonly etags: Readonly<Record<number, string>>;
}

export interface PutResult {
  readonly etag: string;
  readonly versionId: string | null;
  /** Bytes of the file that this call sent. */
  readonly sentBytes: number;
}

export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
  /** Changes whenever the object does. */
  readonly etag: string;
  /** ISO 8601, by the clock of the place. */
  readonly modifiedAt: string;
}

export interface ListedVersion extends ListedObject {
  readonly versionId: string | null;
  readonly isLatest: boolean;
  /** It hides the versions before it, and holds nothing itself. */
  readonly isDeleteMarker: boolean;
}

export interface ObjectFacts extends ListedObject {
  readonly versionId: string | null;
  /** As recorded when it was put, hex; null where it was not put by us, or was changed since. */
  readonly sha256: string | null;
  /** As the store calls it; null for its standard one. */
  readonly storageClass: string | null;
  /** Whether it must be asked back before it can be read: `archived`, `returning` once that was done, `readable`. */
  readonly retrieval: 'readable' | 'archived' | 'returning';
  /** Until when nobody can remove this version, ISO 8601; null: it is not locked. */
  readonly lockedUntil: string | null;
}

/** How fast an archived object comes back, and how dear that is. */
export const RETRIEVAL_TIERS = ['expedited', 'standard', 'bulk'] as const;
export type RetrievalTier = (typeof RETRIEVAL_TIERS)[number];

export interface ByteRange {
  readonly from: number;
  readonly bytes: number;
}

/** What came of a removal. `hidden`: a delete marker was put on it. `locked`: it is there and stays, until then or (null) for good. */
export type Removal =
  | { readonly outcome: 'removed' | 'hidden' }
  | { readonly outcome: 'locked'; readonly until: string | null };

export interface UnfinishedUpload {
  readonly key: string;
  readonly uploadId: string;
  /** ISO 8601. */
  readonly beganAt: string;
}

/** Whether a destination was in use before, remembered elsewhere than in it: what is empty then is not mounted. */
export interface DestinationMemory {
  wasUsed(): Promise<boolean>;
  /** Durable before it resolves; idempotent. */
  noteUse(): Promise<void>;
}

/** Whether a text can be a key, see {@link Destination}. */
export function isKey(text: string): boolean {
  return (
    !text.startsWith('.') &&
    !text.includes('\0') &&
    text.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}
