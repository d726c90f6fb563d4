import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import {
  isKey,
  type Destination,
  type ListedObject,
  type ObjectFacts,
} from '../../src/core/destination.ts';
import { BackupdError } from '../../src/core/errors.ts';

interface StoredObject {
  readonly bytes: Buffer;
  readonly facts: ObjectFacts;
}

/** A destination that is a map, with its doors open. */
export interface MemoryDestination extends Destination {
  /** By key. */
  readonly objects: Map<string, StoredObject>;
  /** What every method throws from now on; null: nothing. */
  fail(error: BackupdError | null): void;
  /** Changes a byte of an object behind its back. */
  damage(key: string): void;
}

const PIECE_BYTES = 1024 * 1024;

/** An empty one. It keeps no versions and knows no locks. */
export function memoryDestination(name = 'memory'): MemoryDestination {
  const objects = new Map<string, StoredObject>();
  const partials = new Map<
    string,
    { readonly key: string; readonly beganAt: string; bytes: number }
  >();
  let failure: BackupdError | null = null;
  let changes = 0;

  function enter(signal: AbortSignal, key?: string): void {
    signal.throwIfAborted();
    if (failure !== null) {
      throw failure;
    }
    if (key !== undefined && !isKey(key)) {
      throw new Error(`${JSON.stringify(key)} can be no key`);
    }
  }

  function store(key: string, bytes: Buffer): ObjectFacts {
    changes += 1;
    const facts: ObjectFacts = {
      key,
      bytes: bytes.length,
      etag: `"${changes}"`,
      modifiedAt: new Date().toISOString(),
      versionId: null,
      sha256: sha256Of(bytes),
      storageClass: null,
      retrieval: 'readable',
      lockedUntil: null,
    };
    objects.set(key, { bytes, facts });
    return facts;
  }

  async function* list(prefix: string, signal: AbortSignal): AsyncGenerator<ListedObject> {
    await turn();
    enter(signal);
    for (const { facts } of objects.values()) {
      if (facts.key.startsWith(prefix)) {
        const { key, bytes, etag, modifiedAt } = facts;
        yield { key, bytes, etag, modifiedAt };
      }
    }
  }

  return {
    name,
    kind: 's3',
    place: `memory://${name}`,
    objects,
    fail(error) {
      failure = error;
    },
    damage(key) {
      const object = objects.get(key);
      if (object !== undefined) {
        const bytes = Buffer.from(object.bytes);
        bytes[0] = (bytes[0] ?? 0) ^ 1;
        objects.set(key, { bytes, facts: object.facts });
      }
    },
    async inspect(signal) {
      await turn();
      enter(signal);
      return {
        region: null,
        isOffsite: true,
        keepsVersions: false,
        locksObjects: false,
        clockAheadMs: 0,
      };
    },
    async putFile(key, file, { onProgress }, signal) {
      enter(signal, key);
      const same = objects.get(key)?.facts;
      if (same?.sha256 === file.sha256) {
        onProgress(file.bytes);
        return { etag: same.etag, versionId: null, sentBytes: 0 };
      }
      const bytes = await readFile(file.path);
      if (sha256Of(bytes) !== file.sha256) {
        throw new BackupdError('archive-corrupt', `${file.path} is damaged`);
      }
      const partial = partials.get(file.sha256) ?? {
        key,
        beganAt: new Date().toISOString(),
        bytes: 0,
      };
      partials.set(file.sha256, partial);
      const before = partial.bytes;
      while (partial.bytes < bytes.length) {
        await turn();
        enter(signal);
        partial.bytes = Math.min(bytes.length, partial.bytes + PIECE_BYTES);
        onProgress(partial.bytes);
      }
      partials.delete(file.sha256);
      onProgress(bytes.length);
      return { etag: store(key, bytes).etag, versionId: null, sentBytes: bytes.length - before };
    },
    async put(key, bytes, { ifAbsent }, signal) {
      await turn();
      enter(signal, key);
      const there = objects.get(key);
      if (ifAbsent && there !== undefined) {
        return there.bytes.equals(bytes) ? 'put' : 'exists';
      }
      store(key, Buffer.from(bytes));
      return 'put';
    },
    list,
    async *listVersions(prefix, signal) {
      for await (const object of list(prefix, signal)) {
        yield { ...object, versionId: null, isLatest: true, isDeleteMarker: false };
      }
    },
    async head(key, _versionId, signal) {
      await turn();
      enter(signal, key);
      return objects.get(key)?.facts ?? null;
    },
    async get(key, _versionId, signal) {
      await turn();
      enter(signal, key);
      const object = objects.get(key);
      if (object !== undefined && sha256Of(object.bytes) !== object.facts.sha256) {
        throw new BackupdError('archive-corrupt', `${key} is damaged`);
      }
      return object?.bytes ?? null;
    },
    async read({ key, etag }, { from, bytes }, signal) {
      await turn();
      enter(signal, key);
      const object = objects.get(key);
      if (object?.facts.etag !== etag) {
        throw new BackupdError('destination-unavailable', `${key} was replaced while it was read`);
      }
      const range = object.bytes.subarray(from, from + bytes);
      async function* pieces(): AsyncGenerator<Buffer> {
        for (let at = 0; at < range.length; at += PIECE_BYTES) {
          await turn();
          enter(signal);
          yield range.subarray(at, at + PIECE_BYTES);
        }
      }
      return Readable.from(pieces(), { objectMode: false });
    },
    async remove(key, _versionId, signal) {
      await turn();
      enter(signal, key);
      objects.delete(key);
      return { outcome: 'removed' };
    },
    async *listUploads(prefix, signal) {
      await turn();
      enter(signal);
      for (const [uploadId, { key, beganAt }] of partials) {
        if (key.startsWith(prefix)) {
          yield { key, uploadId, beganAt };
        }
      }
    },
    async abortUpload({ uploadId }, signal) {
      await turn();
      enter(signal);
      partials.delete(uploadId);
    },
  };
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
