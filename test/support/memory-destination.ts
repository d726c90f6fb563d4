import { open } from 'node:fs/promises';
import type { Lifecycle } from '../../src/core/destination-settings.ts';
import type { Destination, PlaceFacts, UploadState } from '../../src/core/destination.ts';
import type { LifecycleTag } from '../../src/core/lifecycle.ts';
import { BackupdError } from '../../src/core/errors.ts';
import { lifecycleIn } from './memory-lifecycle.ts';
import {
  add,
  beginUpload,
  byNumber,
  checkKey,
  current,
  MIB,
  removeVersion,
  sha256,
  shownId,
  type MemoryRequest,
  type Store,
  type Upload,
} from './memory-store.ts';
import { lister, reader } from './memory-reading.ts';

export interface MemoryOptions {
  readonly name?: string;
  readonly keepsVersions?: boolean;
  /** What is written is locked until then; null: it is not. */
  readonly lockedUntil?: string | null;
  readonly facts?: Partial<PlaceFacts>;
  /** Of the parts in which files are put. */
  readonly partBytes?: number;
  /** Unfinished uploads are told of exact keys only, as by MinIO. */
  readonly listsUploadsOfKeysOnly?: boolean;
}

/** A destination in the memory of a test, as a bucket is that keeps versions or not. */
export interface MemoryDestination extends Destination {
  /** Everything that was asked of it, in its order. */
  readonly requests: MemoryRequest[];
  /** Told of each request before it is done; what it throws is what comes of it. Default: nothing. */
  onRequest: (request: MemoryRequest) => void | Promise<void>;
  /** Bytes that were sent to it, manifests and receipts too. */
  sentBytes: number;
  /** The keys that are there now, sorted. */
  keys(): readonly string[];
  /** What is there now. */
  text(key: string): string | null;
  /** Puts bytes there as somebody else might, with the metadata of what was there. */
  alter(key: string, bytes: string | Uint8Array): void;
  /** Removes an object as somebody else might. */
  lose(key: string): void;
  /** From now on an object is in an archive, until it is asked back and `returnAll` is called. */
  archive(key: string): void;
  returnAll(): void;
  /** The tag of ours on what is there now. */
  tag(key: string): LifecycleTag | null;
  /** The rules of ours, by namespace. */
  readonly rules: Map<string, Lifecycle>;
  /** What the store deletes by the rules, once it is old enough. */
  expire(): void;
  /** Begins an upload of somebody who never finishes it. */
  beginUpload(key: string, beganAt: string): string;
}

/** An empty one. */
export function memoryDestination(options: MemoryOptions = {}): MemoryDestination {
  const requests: MemoryRequest[] = [];
  const store: Store = {
    versions: new Map(),
    uploads: new Map(),
    keepsVersions: options.keepsVersions ?? false,
    lockedUntil: options.lockedUntil ?? null,
    partBytes: options.partBytes ?? 16 * MIB,
    listsUploadsOfKeysOnly: options.listsUploadsOfKeysOnly ?? false,
    async ask(method, key, signal) {
      signal.throwIfAborted();
      requests.push({ method, key });
      await destination.onRequest({ method, key });
      signal.throwIfAborted();
    },
    count(bytes) {
      destination.sentBytes += bytes;
    },
  };
  const rules = new Map<string, Lifecycle>();
  const facts: PlaceFacts = {
    region: 'eu-central-1',
    isOffsite: true,
    keepsVersions: store.keepsVersions,
    locksObjects: store.lockedUntil !== null,
    clockAheadMs: 0,
    ...options.facts,
  };
  const destination: MemoryDestination = {
    name: options.name ?? 's3',
    kind: 's3',
    place: `memory of ${options.name ?? 's3'}`,
    lifecycle: lifecycleIn(store, rules),
    rules,
    requests,
    onRequest: () => undefined,
    sentBytes: 0,
    async inspect(signal) {
      await store.ask('inspect', '', signal);
      return facts;
    },
    ...writer(store),
    ...lister(store),
    ...reader(store),
    ...handle(store),
  };
  return destination;
}

function writer(store: Store): Pick<Destination, 'putFile' | 'put' | 'remove'> {
  return {
    async putFile(key, file, how, signal) {
      checkKey(key);
      await store.ask('head', key, signal);
      const there = current(store, key);
      if (
        there !== null &&
        there.sha256 === file.sha256 &&
        there.bytes.length === file.bytes &&
        there.etag !== how.wrongEtag
      ) {
        how.onProgress(file.bytes);
        return { etag: there.etag, versionId: shownId(store, there), sentBytes: 0 };
      }
      const recorded = await how.journal.read();
      const known = recorded === null ? undefined : store.uploads.get(recorded.uploadId);
      const uploadId = known === undefined ? beginUpload(store, key) : (recorded?.uploadId ?? '');
      const state: UploadState = {
        key,
        uploadId,
        partBytes: store.partBytes,
        bytes: file.bytes,
        sha256: file.sha256,
        etags: {},
      };
      await how.journal.write(state);
      const upload = store.uploads.get(uploadId) as Upload;
      const sentBytes = await sendParts(store, { upload, state, path: file.path, how }, signal);
      const bytes = Buffer.concat([...upload.parts].toSorted(byNumber).map(([, part]) => part));
      if (bytes.length !== file.bytes || sha256(bytes) !== file.sha256) {
        store.uploads.delete(uploadId);
        await how.journal.clear();
        throw new BackupdError('archive-corrupt', `${file.path} is not what was stored`);
      }
      await store.ask('completeFile', key, signal);
      store.uploads.delete(uploadId);
      const version = add(store, key, bytes, { sha256: file.sha256 });
      how.onProgress(file.bytes);
      await how.journal.clear();
      return { etag: version.etag, versionId: shownId(store, version), sentBytes };
    },
    async put(key, bytes, { ifAbsent }, signal) {
      checkKey(key);
      await store.ask('put', key, signal);
      const there = current(store, key);
      if (ifAbsent && there !== null) {
        // As where the answer to the first one was lost.
        return there.bytes.equals(bytes) ? 'put' : 'exists';
      }
      store.count(bytes.length);
      add(store, key, Buffer.from(bytes), { sha256: sha256(bytes) });
      return 'put';
    },
    async remove(key, versionId, signal) {
      await store.ask('remove', key, signal);
      return removeVersion(store, key, versionId);
    },
  };
}

async function sendParts(
  store: Store,
  {
    upload,
    state,
    path,
    how,
  }: {
    readonly upload: Upload;
    readonly state: UploadState;
    readonly path: string;
    readonly how: Parameters<Destination['putFile']>[2];
  },
  signal: AbortSignal,
): Promise<number> {
  let sentBytes = 0;
  await using handle = await open(path, 'r');
  for (let from = 0, number = 1; from < state.bytes; from += state.partBytes, number += 1) {
    if (!upload.parts.has(number)) {
      await store.ask('putPart', upload.key, signal);
      const part = Buffer.alloc(Math.min(state.partBytes, state.bytes - from));
      const { bytesRead } = await handle.read(part, 0, part.length, from);
      upload.parts.set(number, part.subarray(0, bytesRead));
      sentBytes += bytesRead;
      store.count(bytesRead);
      await how.journal.write({ ...state, etags: { [number]: `part-${number}` } });
    }
    how.onProgress(Math.min(from + state.partBytes, state.bytes));
  }
  return sentBytes;
}

/** What only a test can do, and the end of uploads. */
function handle(
  store: Store,
): Pick<
  MemoryDestination,
  | 'abortUpload'
  | 'keys'
  | 'text'
  | 'alter'
  | 'lose'
  | 'archive'
  | 'returnAll'
  | 'beginUpload'
  | 'tag'
  | 'expire'
> {
  return {
    async abortUpload({ key, uploadId }, signal) {
      await store.ask('abortUpload', key, signal);
      store.uploads.delete(uploadId);
    },
    keys: () => [...store.versions.keys()].filter((key) => current(store, key) !== null).toSorted(),
    text: (key) => current(store, key)?.bytes.toString('utf8') ?? null,
    alter(key, bytes) {
      add(store, key, Buffer.from(bytes), { sha256: current(store, key)?.sha256 ?? null });
    },
    lose(key) {
      removeVersion(store, key, null);
    },
    archive(key) {
      const version = current(store, key);
      if (version !== null) {
        version.retrieval = 'archived';
      }
    },
    returnAll() {
      for (const version of [...store.versions.values()].flat()) {
        version.retrieval = 'readable';
      }
    },
    tag: (key) => current(store, key)?.tag ?? null,
    expire() {
      for (const key of store.versions.keys()) {
        if (current(store, key)?.tag === 'expire') {
          removeVersion(store, key, null);
        }
      }
    },
    beginUpload: (key, beganAt) => beginUpload(store, key, beganAt),
  };
}
