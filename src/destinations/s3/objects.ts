import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { Readable } from 'node:stream';
import type { ByteRange, ObjectFacts, Removal } from '../../core/destination.ts';
import { BackupdError } from '../../core/errors.ts';
import { checkWhole } from '../damage.ts';
import { exactly } from '../exactly.ts';
import type { Bucket } from './bucket.ts';
import { storeCode, storeStatus, type Asked } from './failures.ts';

/** Objects that are read whole are no larger. */
const LARGEST_WHOLE_BYTES = 64 * 1024 * 1024;
/** Classes that must be asked back before they can be read. */
const ARCHIVES = new Set(['GLACIER', 'DEEP_ARCHIVE']);

interface ObjectName {
  readonly key: string;
  readonly versionId: string | null;
}

function asParameters(
  bucket: Bucket,
  { key, versionId }: ObjectName,
): {
  readonly Bucket: string;
  readonly Key: string;
  readonly VersionId?: string;
} {
  return {
    Bucket: bucket.place.bucket,
    Key: bucket.fullKey(key),
    ...(versionId === null ? {} : { VersionId: versionId }),
  };
}

function reading({ key, versionId }: ObjectName): Asked {
  return { action: versionId === null ? 's3:GetObject' : 's3:GetObjectVersion', key };
}

/** What is known of an object; null where there is none. */
export async function headObject(
  bucket: Bucket,
  object: ObjectName,
  signal: AbortSignal,
): Promise<ObjectFacts | null> {
  const command = new bucket.sdk.HeadObjectCommand(asParameters(bucket, object));
  try {
    const head = await bucket.ask(reading(object), signal, async (options) =>
      bucket.client.send(command, options),
    );
    return factsOf(object.key, head);
  } catch (error) {
    await settleAbsence(bucket, object, { error, signal });
    return null;
  }
}

function factsOf(key: string, head: HeadObjectCommandOutput): ObjectFacts {
  const { ContentLength = 0, ETag = '', LastModified = new Date(0), Metadata = {} } = head;
  return {
    key,
    bytes: ContentLength,
    etag: ETag,
    modifiedAt: LastModified.toISOString(),
    versionId: head.VersionId ?? null,
    sha256: Metadata['sha256'] ?? null,
    storageClass: head.StorageClass === 'STANDARD' ? null : (head.StorageClass ?? null),
    retrieval: retrievalOf(head),
    lockedUntil: head.ObjectLockRetainUntilDate?.toISOString() ?? null,
  };
}

/** A class that archives says nothing of an object that was asked back. */
function retrievalOf({
  StorageClass,
  ArchiveStatus,
  Restore = '',
}: HeadObjectCommandOutput): ObjectFacts['retrieval'] {
  const [, isOngoing] = /ongoing-request="(true|false)"/.exec(Restore) ?? [];
  if (isOngoing !== undefined) {
    return isOngoing === 'true' ? 'returning' : 'readable';
  }
  return ARCHIVES.has(StorageClass ?? '') || ArchiveStatus !== undefined ? 'archived' : 'readable';
}

/**
 * Returns where an object is not there, and throws otherwise. An answer without a body, and a denial, can mean either: who
 * may not list is told the same of a key that there is and of one that there is not. A list says what is true of both.
 */
async function settleAbsence(
  bucket: Bucket,
  object: ObjectName,
  { error, signal }: { readonly error: unknown; readonly signal: AbortSignal },
): Promise<void> {
  // A delete marker cannot be read, and is no object.
  if (['NoSuchKey', 'NoSuchVersion', 'MethodNotAllowed'].includes(storeCode(error))) {
    return;
  }
  const status = storeStatus(error);
  if (
    ![301, 307, 400, 403, 404, 405].includes(status) ||
    storeCode(error) === 'InvalidObjectState'
  ) {
    throw error;
  }
  const key = bucket.fullKey(object.key);
  const command = new bucket.sdk.ListObjectsV2Command({
    Bucket: bucket.place.bucket,
    Prefix: key,
    MaxKeys: 1,
  });
  const page = await bucket.ask(
    { action: 's3:ListBucket', key: object.key },
    signal,
    async (options) => bucket.client.send(command, options),
  );
  const isThere = page.Contents?.[0]?.Key === key;
  if (
    status !== 404 &&
    status !== 405 &&
    (isThere || status !== 403 || object.versionId !== null)
  ) {
    throw error;
  }
}

/** A small object whole; null where there is none. */
export async function getObject(
  bucket: Bucket,
  object: ObjectName,
  signal: AbortSignal,
): Promise<Buffer | null> {
  const command = new bucket.sdk.GetObjectCommand(asParameters(bucket, object));
  try {
    return await bucket.ask(reading(object), signal, async (options) => {
      const { Body, ContentLength = 0, Metadata = {} } = await bucket.client.send(command, options);
      const body = asReadable(Body);
      if (ContentLength > LARGEST_WHOLE_BYTES) {
        body.destroy();
        throw new BackupdError(
          'destination-unavailable',
          `destination "${bucket.settings.name}": ${object.key} has ${ContentLength} bytes, which no record of backupd has`,
          { hint: 'Something else wrote it. Look at what it is.' },
        );
      }
      const pieces: Buffer[] = [];
      for await (const piece of exactly(body, ContentLength)) {
        pieces.push(piece);
      }
      const bytes = Buffer.concat(pieces);
      checkWhole(
        bucket.settings.name,
        { key: object.key, sha256: Metadata['sha256'] ?? null },
        bytes,
      );
      return bytes;
    });
  } catch (error) {
    await settleAbsence(bucket, object, { error, signal });
    return null;
  }
}

/** A range of an object as it was when it was looked at. */
export async function readObject(
  bucket: Bucket,
  object: Pick<ObjectFacts, 'key' | 'versionId' | 'etag'>,
  { from, bytes }: ByteRange,
  signal: AbortSignal,
): Promise<Readable> {
  if (bytes === 0) {
    return Readable.from([]);
  }
  const asked = reading(object);
  const command = new bucket.sdk.GetObjectCommand({
    ...asParameters(bucket, object),
    IfMatch: object.etag,
    Range: `bytes=${from}-${from + bytes - 1}`,
  });
  let body: Readable;
  try {
    const { Body } = await bucket.ask(asked, signal, async (options) =>
      bucket.client.send(command, options),
    );
    body = asReadable(Body);
  } catch (error) {
    throw storeStatus(error) === 412 ? wasReplaced(bucket, object.key, error) : error;
  }
  async function* checked(): AsyncGenerator<Buffer> {
    try {
      yield* exactly(body, bytes);
    } catch (error) {
      await bucket.ask(asked, signal, async () => Promise.reject(error));
    }
  }
  const stream = Readable.from(checked(), { objectMode: false });
  // Who does not want the rest need not wait for it.
  stream.once('close', () => body.destroy());
  return stream;
}

function asReadable(body: unknown): Readable {
  if (!(body instanceof Readable)) {
    throw new TypeError('the SDK gave no stream');
  }
  return body;
}

function wasReplaced(bucket: Bucket, key: string, cause: unknown): BackupdError {
  return new BackupdError(
    'destination-unavailable',
    `destination "${bucket.settings.name}": ${key} was replaced while it was read`,
    { hint: 'Run it again. Nothing of backupd replaces what it has put.', cause },
  );
}

/** Removes an object, or a version of it for good. */
export async function removeObject(
  bucket: Bucket,
  object: ObjectName,
  signal: AbortSignal,
): Promise<Removal> {
  const action =
    object.versionId === null
      ? 's3:DeleteObject'
      : // Of a bucket that keeps none: stores do not agree on which of the two it takes.
        object.versionId === 'null'
        ? 's3:DeleteObject with s3:DeleteObjectVersion'
        : 's3:DeleteObjectVersion';
  const command = new bucket.sdk.DeleteObjectCommand(asParameters(bucket, object));
  try {
    const { DeleteMarker } = await bucket.ask(
      { action, key: object.key },
      signal,
      async (options) => bucket.client.send(command, options),
    );
    // A version that is itself a marker is gone for good.
    return { outcome: object.versionId === null && DeleteMarker === true ? 'hidden' : 'removed' };
  } catch (error) {
    if (['NoSuchKey', 'NoSuchVersion'].includes(storeCode(error))) {
      return { outcome: 'removed' };
    }
    const lock = await lockOn(bucket, object, { error, signal });
    if (lock === null) {
      throw error;
    }
    return { outcome: 'locked', until: lock.until };
  }
}

/** Stores say in different ways that an object is locked; the object itself says it in one. */
async function lockOn(
  bucket: Bucket,
  object: ObjectName,
  { error, signal }: { readonly error: unknown; readonly signal: AbortSignal },
): Promise<{ readonly until: string | null } | null> {
  if (![400, 403, 409].includes(storeStatus(error))) {
    return null;
  }
  const command = new bucket.sdk.HeadObjectCommand(asParameters(bucket, object));
  const head = await bucket
    .ask(reading(object), signal, async (options) => bucket.client.send(command, options))
    // What the removal failed with says more.
    .catch(() => null);
  signal.throwIfAborted();
  if (head?.ObjectLockLegalHoldStatus === 'ON') {
    return { until: null };
  }
  const until = head?.ObjectLockRetainUntilDate;
  const now = Date.now() + (bucket.clock.aheadMs() ?? 0);
  return until !== undefined && until.getTime() > now ? { until: until.toISOString() } : null;
}
