import { createHash, randomBytes } from 'node:crypto';
import {
  isKey,
  type Destination,
  type ListedVersion,
  type ObjectFacts,
} from '../../src/core/destination.ts';
import type { LifecycleTag } from '../../src/core/lifecycle.ts';

/** What is about to be asked of a destination. */
export interface MemoryRequest {
  readonly method:
    | 'inspect'
    | 'putPart'
    | 'completeFile'
    | 'put'
    | 'list'
    | 'listVersions'
    | 'head'
    | 'get'
    | 'read'
    | 'retrieve'
    | 'remove'
    | 'listUploads'
    | 'abortUpload'
    | 'applyRules'
    | 'readTag'
    | 'writeTag';
  /** The prefix, of a listing. */
  readonly key: string;
}

export interface Version {
  readonly versionId: string;
  readonly bytes: Buffer;
  readonly etag: string;
  readonly sha256: string | null;
  readonly modifiedAt: string;
  readonly isDeleteMarker: boolean;
  lockedUntil: string | null;
  retrieval: ObjectFacts['retrieval'];
  tag: LifecycleTag | null;
}

export interface Upload {
  readonly key: string;
  readonly beganAt: string;
  readonly parts: Map<number, Buffer>;
}

export const MIB = 1024 * 1024;

export interface Store {
  /** Newest first. */
  readonly versions: Map<string, Version[]>;
  readonly uploads: Map<string, Upload>;
  readonly keepsVersions: boolean;
  readonly lockedUntil: string | null;
  readonly partBytes: number;
  /** As MinIO: of exact keys only. */
  readonly listsUploadsOfKeysOnly: boolean;
  ask(method: MemoryRequest['method'], key: string, signal: AbortSignal): Promise<void>;
  count(bytes: number): void;
}

export function checkKey(key: string): void {
  if (!isKey(key)) {
    throw new Error(`${JSON.stringify(key)} can be no key`);
  }
}

export function beginUpload(store: Store, key: string, beganAt = new Date().toISOString()): string {
  const uploadId = randomBytes(8).toString('hex');
  store.uploads.set(uploadId, { key, beganAt, parts: new Map() });
  return uploadId;
}

export function add(
  store: Store,
  key: string,
  bytes: Buffer,
  { sha256, isDeleteMarker = false }: { sha256: string | null; isDeleteMarker?: boolean },
): Version {
  const version: Version = {
    versionId: randomBytes(8).toString('hex'),
    bytes,
    etag: `"${createHash('md5').update(bytes).digest('hex')}"`,
    sha256,
    modifiedAt: new Date().toISOString(),
    isDeleteMarker,
    lockedUntil: isDeleteMarker ? null : store.lockedUntil,
    retrieval: 'readable',
    tag: null,
  };
  const before = store.keepsVersions ? (store.versions.get(key) ?? []) : [];
  store.versions.set(key, [version, ...before]);
  return version;
}

export function removeVersion(
  store: Store,
  key: string,
  versionId: string | null,
): Awaited<ReturnType<Destination['remove']>> {
  const versions = store.versions.get(key) ?? [];
  if (store.keepsVersions && versionId === null) {
    add(store, key, Buffer.alloc(0), { sha256: null, isDeleteMarker: true });
    return { outcome: 'hidden' };
  }
  const gone = store.keepsVersions
    ? versions.filter((version) => version.versionId === versionId)
    : versions;
  const locked = gone.find(({ lockedUntil }) => lockedUntil !== null);
  if (locked !== undefined) {
    return { outcome: 'locked', until: locked.lockedUntil };
  }
  const left = versions.filter((version) => !gone.includes(version));
  if (left.length === 0) {
    store.versions.delete(key);
  } else {
    store.versions.set(key, left);
  }
  return { outcome: 'removed' };
}

export function current(store: Store, key: string): Version | null {
  const [newest] = store.versions.get(key) ?? [];
  return newest === undefined || newest.isDeleteMarker ? null : newest;
}

export function find(store: Store, key: string, versionId: string | null): Version | null {
  return versionId === null
    ? current(store, key)
    : (store.versions.get(key)?.find((version) => version.versionId === versionId) ?? null);
}

export function listed(store: Store, key: string, version: Version): ListedVersion {
  return {
    key,
    bytes: version.bytes.length,
    etag: version.etag,
    modifiedAt: version.modifiedAt,
    versionId: shownId(store, version),
    isLatest: store.versions.get(key)?.[0] === version,
    isDeleteMarker: version.isDeleteMarker,
  };
}

export function shownId(store: Store, version: Version): string | null {
  return store.keepsVersions ? version.versionId : null;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function byNumber(
  [one]: readonly [number, Buffer],
  [other]: readonly [number, Buffer],
): number {
  return one - other;
}
