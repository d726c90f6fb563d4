import { createHash } from 'node:crypto';
import type { PutResult } from '../../core/destination.ts';
import { BackupdError } from '../../core/errors.ts';
import type { Bucket } from './bucket.ts';
import { storeStatus } from './failures.ts';
import { getObject } from './objects.ts';
import { checksumParameters, lockParameters, storageClassOf, type Writing } from './writing.ts';

/** How one object is put whole. */
interface PutHow {
  readonly writing: Writing;
  /** Archives have a class of their own. */
  readonly as: 'archive' | 'record';
  readonly onlyIfAbsent: boolean;
}

/** Puts one object in one request. */
export async function putWhole(
  bucket: Bucket,
  object: { readonly key: string; readonly bytes: Uint8Array },
  how: PutHow,
  signal: AbortSignal,
): Promise<PutResult> {
  const { key, bytes } = object;
  const command = new bucket.sdk.PutObjectCommand({
    Bucket: bucket.place.bucket,
    Key: bucket.fullKey(key),
    Body: bytes,
    ContentLength: bytes.length,
    Metadata: { sha256: createHash('sha256').update(bytes).digest('hex') },
    ...checksumParameters(bytes, how.writing),
    ...lockParameters(bucket),
    ...(how.as === 'archive' ? storageClassOf(bucket) : {}),
    ...(how.onlyIfAbsent ? { IfNoneMatch: '*' } : {}),
  });
  const { ETag, VersionId } = await bucket.ask(
    { action: 's3:PutObject', key },
    signal,
    async (options) => bucket.client.send(command, options),
  );
  return { etag: ETag ?? '', versionId: VersionId ?? null, sentBytes: bytes.length };
}

/**
 * Puts an object that must not be there yet. What is there afterwards decides: an answer that was lost, and stores that do
 * not know the condition or do not care for it, are seen by that.
 */
export async function putIfAbsent(
  bucket: Bucket,
  object: { readonly key: string; readonly bytes: Uint8Array },
  writing: Writing,
  signal: AbortSignal,
): Promise<'put' | 'exists'> {
  const newest = { key: object.key, versionId: null };
  const before = await getObject(bucket, newest, signal);
  if (before === null) {
    await putUnlessThere(bucket, object, writing, signal);
  }
  const after = before ?? (await getObject(bucket, newest, signal));
  if (after === null) {
    throw new BackupdError(
      'destination-unavailable',
      `destination "${bucket.settings.name}": ${object.key} was put and is not there`,
      { hint: 'Something else removed it at once, or the store lost it. Run it again.' },
    );
  }
  return after.equals(object.bytes) ? 'put' : 'exists';
}

async function putUnlessThere(
  bucket: Bucket,
  object: { readonly key: string; readonly bytes: Uint8Array },
  writing: Writing,
  signal: AbortSignal,
): Promise<void> {
  try {
    await putWhole(bucket, object, { writing, as: 'record', onlyIfAbsent: true }, signal);
  } catch (error) {
    const status = storeStatus(error);
    if (status === 400 || status === 501) {
      // It does not know the condition. Should it refuse for another reason, it does so again.
      await putWhole(bucket, object, { writing, as: 'record', onlyIfAbsent: false }, signal);
    } else if (status !== 409 && status !== 412) {
      throw error;
    }
  }
}
