import type { Part } from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type {
  FileToPut,
  PutFileOptions,
  PutResult,
  UnfinishedUpload,
  UploadState,
} from '../../core/destination.ts';
import { BackupdError } from '../../core/errors.ts';
import { reach } from '../../core/steps.ts';
import { damaged, openLocalFile, readPiece } from '../local-file.ts';
import type { Bucket } from './bucket.ts';
import { storeCode } from './failures.ts';
import { headObject } from './objects.ts';
import { sendParts } from './parts.ts';
import { putWhole } from './put.ts';
import { isOf, partBytesOf, uploadRecord } from './upload-record.ts';
import { lockParameters, storageClassOf, type Writing } from './writing.ts';

/** What stores say of an upload that can come to nothing. */
const NEVER_FINISHED = new Set([
  'InvalidPart',
  'InvalidPartOrder',
  'EntityTooSmall',
  'InvalidRequest',
]);

interface Upload {
  readonly key: string;
  readonly file: FileToPut;
  readonly how: PutFileOptions;
  readonly writing: Writing;
}

/** Puts a file: what is there is found first, what is missing is sent. */
export async function uploadFile(
  bucket: Bucket,
  upload: Upload,
  signal: AbortSignal,
): Promise<PutResult> {
  const { key, file, how } = upload;
  const same = await findSame(bucket, upload, signal);
  const recorded = await how.journal.read();
  const isUnfinished = recorded !== null && same === null && isOf(recorded, key, file);
  if (recorded !== null && !isUnfinished) {
    // Of another file, or of one that was finished by then.
    await endUpload(bucket, recorded, signal);
    await how.journal.clear();
  }
  if (same !== null) {
    how.onProgress(file.bytes);
    return same;
  }
  await using handle = await openLocalFile(file);
  if (file.bytes <= partBytesOf(file.bytes)) {
    return await putSmallFile(bucket, { ...upload, handle }, signal);
  }
  const there = isUnfinished ? await partsOf(bucket, recorded, signal) : null;
  // An upload that the store does not know any more begins anew.
  const state = isUnfinished && there !== null ? recorded : await begin(bucket, upload, signal);
  return await finish(bucket, { ...upload, handle, state, there: there ?? new Map() }, signal);
}

/** In one request. */
async function putSmallFile(
  bucket: Bucket,
  upload: Upload & { readonly handle: FileHandle },
  signal: AbortSignal,
): Promise<PutResult> {
  const { key, file, how, writing, handle } = upload;
  const buffer = bucket.buffers.take(partBytesOf(file.bytes));
  try {
    const bytes = await readPiece(handle, file, { buffer, from: 0 });
    if (createHash('sha256').update(bytes).digest('hex') !== file.sha256) {
      throw damaged(file, 'its bytes are not those that were stored');
    }
    const put = { writing, as: 'archive', onlyIfAbsent: false } as const;
    const result = await putWhole(bucket, { key, bytes }, put, signal);
    how.onProgress(file.bytes);
    return result;
  } finally {
    bucket.buffers.give(buffer);
  }
}

/** The result of an earlier life whose answer was lost; null where the object is not there, or is another. */
async function findSame(
  bucket: Bucket,
  { key, file, how }: Pick<Upload, 'key' | 'file' | 'how'>,
  signal: AbortSignal,
): Promise<PutResult | null> {
  const head = await headObject(bucket, { key, versionId: null }, signal);
  return head?.bytes === file.bytes && head.sha256 === file.sha256 && head.etag !== how.wrongEtag
    ? { etag: head.etag, versionId: head.versionId, sentBytes: 0 }
    : null;
}

async function begin(bucket: Bucket, upload: Upload, signal: AbortSignal): Promise<UploadState> {
  const { key, file, how, writing } = upload;
  const command = new bucket.sdk.CreateMultipartUploadCommand({
    Bucket: bucket.place.bucket,
    Key: bucket.fullKey(key),
    Metadata: { sha256: file.sha256 },
    ...(writing.checksums ? { ChecksumAlgorithm: 'CRC32' } : {}),
    ...lockParameters(bucket),
    ...storageClassOf(bucket),
  });
  const { UploadId = '' } = await bucket.ask(
    { action: 's3:PutObject', key },
    signal,
    async (options) => bucket.client.send(command, options),
  );
  reach('upload-begun');
  const state = {
    key,
    uploadId: UploadId,
    partBytes: partBytesOf(file.bytes),
    bytes: file.bytes,
    sha256: file.sha256,
    etags: {},
  };
  // Before the first part: parts of an upload that nobody knows of would be paid for and never used.
  await how.journal.write(state);
  reach('upload-recorded');
  return state;
}

/** The parts that the store has, by number; null where it does not know the upload any more. */
async function partsOf(
  bucket: Bucket,
  { key, uploadId }: UploadState,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, Part> | null> {
  const parts = new Map<number, Part>();
  let after: string | undefined;
  do {
    const command = new bucket.sdk.ListPartsCommand({
      Bucket: bucket.place.bucket,
      Key: bucket.fullKey(key),
      UploadId: uploadId,
      ...(after === undefined ? {} : { PartNumberMarker: after }),
    });
    try {
      const page = await bucket.ask(
        { action: 's3:ListMultipartUploadParts', key },
        signal,
        async (options) => bucket.client.send(command, options),
      );
      for (const part of page.Parts ?? []) {
        parts.set(part.PartNumber ?? 0, part);
      }
      after = page.IsTruncated === true ? page.NextPartNumberMarker : undefined;
    } catch (error) {
      if (storeCode(error) === 'NoSuchUpload') {
        return null;
      }
      throw error;
    }
  } while (after !== undefined);
  return parts;
}

async function finish(
  bucket: Bucket,
  upload: Upload & {
    readonly state: UploadState;
    readonly handle: FileHandle;
    readonly there: ReadonlyMap<number, Part>;
  },
  signal: AbortSignal,
): Promise<PutResult> {
  const { key, file, how, state } = upload;
  const record = uploadRecord(how.journal, state);
  let sentBytes = 0;
  try {
    const sent = await sendParts(
      bucket,
      {
        key,
        file,
        handle: upload.handle,
        record,
        there: upload.there,
        writing: upload.writing,
        onProgress: how.onProgress,
      },
      signal,
    );
    ({ sentBytes } = sent);
    reach('parts-sent');
    const result = await complete(bucket, { key, state, parts: sent.parts }, signal);
    reach('upload-finished');
    await how.journal.clear();
    return { ...result, sentBytes };
  } catch (error) {
    return settleFailure(bucket, { ...upload, sentBytes, error }, signal);
  }
}

async function complete(
  bucket: Bucket,
  upload: {
    readonly key: string;
    readonly state: UploadState;
    readonly parts: Awaited<ReturnType<typeof sendParts>>['parts'];
  },
  signal: AbortSignal,
): Promise<Omit<PutResult, 'sentBytes'>> {
  const command = new bucket.sdk.CompleteMultipartUploadCommand({
    Bucket: bucket.place.bucket,
    Key: bucket.fullKey(upload.key),
    UploadId: upload.state.uploadId,
    MultipartUpload: { Parts: [...upload.parts] },
  });
  const { ETag, VersionId } = await bucket.ask(
    { action: 's3:PutObject', key: upload.key },
    signal,
    async (options) => bucket.client.send(command, options),
  );
  return { etag: ETag ?? '', versionId: VersionId ?? null };
}

/**
 * An answer that was lost may have been a good one, and an upload that is gone may be finished: a look at the object
 * decides. What the store will never finish is given up, so that the next run begins anew; all else can be gone on with.
 */
async function settleFailure(
  bucket: Bucket,
  upload: Upload & {
    readonly state: UploadState;
    readonly sentBytes: number;
    readonly error: unknown;
  },
  signal: AbortSignal,
): Promise<PutResult> {
  const { how, state, error } = upload;
  signal.throwIfAborted();
  const code = storeCode(error);
  const isDamaged = error instanceof BackupdError && error.code === 'archive-corrupt';
  // Where the store cannot be reached that look fails too, and the first failure says more.
  const same = isDamaged ? null : await findSame(bucket, upload, signal).catch(() => null);
  signal.throwIfAborted();
  if (same === null && (isDamaged || NEVER_FINISHED.has(code))) {
    await endUpload(bucket, state, signal);
  }
  if (same !== null || isDamaged || NEVER_FINISHED.has(code) || code === 'NoSuchUpload') {
    await how.journal.clear();
  }
  if (same === null) {
    throw error;
  }
  how.onProgress(upload.file.bytes);
  return { ...same, sentBytes: upload.sentBytes };
}

/** Ends an unfinished upload; one that is gone is fine. */
export async function endUpload(
  bucket: Bucket,
  { key, uploadId }: Pick<UnfinishedUpload, 'key' | 'uploadId'>,
  signal: AbortSignal,
): Promise<void> {
  const command = new bucket.sdk.AbortMultipartUploadCommand({
    Bucket: bucket.place.bucket,
    Key: bucket.fullKey(key),
    UploadId: uploadId,
  });
  try {
    await bucket.ask({ action: 's3:AbortMultipartUpload', key }, signal, async (options) =>
      bucket.client.send(command, options),
    );
  } catch (error) {
    if (storeCode(error) !== 'NoSuchUpload') {
      throw error;
    }
  }
}
