import type { Part } from '@aws-sdk/client-s3';
import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { FileToPut } from '../../core/destination.ts';
import { atOnce } from '../../core/at-once.ts';
import { reach } from '../../core/steps.ts';
import { damaged, readPiece } from '../local-file.ts';
import type { Bucket } from './bucket.ts';
import type { UploadRecord } from './upload-record.ts';
import { checksumParameters, crc32Of, type ChecksumParameters, type Writing } from './writing.ts';

/** Parts at once, as long as what they hold together is no more than this. */
const MOST_WORKERS = 4;
const MOST_HELD_BYTES = 128 * 1024 * 1024;

/** A part as the store is told of it in the end. */
interface SentPart {
  readonly PartNumber: number;
  readonly ETag: string;
  readonly ChecksumCRC32?: string;
}

export interface PartsToSend {
  readonly key: string;
  readonly file: FileToPut;
  readonly handle: FileHandle;
  readonly record: UploadRecord;
  /** What the store has of this upload, by number. */
  readonly there: ReadonlyMap<number, Part>;
  readonly writing: Writing;
  readonly onProgress: (doneBytes: number) => void;
}

/**
 * Sends what the store does not have yet. All of the file is read, in its order, and hashed: parts that are there are
 * compared, and nothing is finished that is not the file it is meant to be.
 * @throws BackupdError `archive-corrupt` where the file is not what its SHA-256 says, or what the store says; then no part
 * is on its way any more
 */
export async function sendParts(
  bucket: Bucket,
  upload: PartsToSend,
  signal: AbortSignal,
): Promise<{ readonly parts: readonly SentPart[]; readonly sentBytes: number }> {
  const { file, record, handle } = upload;
  const { partBytes } = record.state;
  const count = Math.ceil(file.bytes / partBytes);
  const hash = createHash('sha256');
  const read = readerInOrder(handle, file, hash);
  const parts: SentPart[] = [];
  let doneBytes = 0;
  let sentBytes = 0;

  async function send(number: number, buffer: Buffer): Promise<void> {
    const piece = await read(buffer, (number - 1) * partBytes);
    const checksum = checksumParameters(piece, upload.writing);
    let etag = sameEtag(piece, upload.there.get(number), record.state.etags[number]);
    if (etag === null) {
      etag = await sendPart(bucket, { ...upload, number, piece, checksum }, signal);
      sentBytes += piece.length;
      record.note(number, etag);
      reach('part-sent');
    }
    const { ChecksumCRC32 } = checksum;
    parts.push({
      PartNumber: number,
      ETag: etag,
      ...(ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 }),
    });
    doneBytes += piece.length;
    upload.onProgress(doneBytes);
  }

  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  try {
    await atOnce(numbers, workersFor(count, partBytes), async (number) => {
      const buffer = bucket.buffers.take(partBytes);
      try {
        await send(number, buffer);
      } finally {
        bucket.buffers.give(buffer);
      }
    });
  } catch (error) {
    // What the record lacks is compared with the file when it goes on; what failed first is what is to be known.
    await record.settle().catch(() => undefined);
    throw error;
  }
  await record.settle();
  if (hash.digest('hex') !== file.sha256) {
    throw damaged(file, 'its bytes are not those that were stored');
  }
  return { parts: parts.toSorted((one, other) => one.PartNumber - other.PartNumber), sentBytes };
}

/** Reads pieces one after the other as they are asked for, also where one fails: what is hashed is the file in its order. */
function readerInOrder(
  handle: FileHandle,
  file: FileToPut,
  hash: Hash,
): (buffer: Buffer, from: number) => Promise<Buffer> {
  let reading: Promise<unknown> = Promise.resolve();
  return async (buffer, from) => {
    const read = reading.then(async () => {
      const piece = await readPiece(handle, file, { buffer, from });
      hash.update(piece);
      return piece;
    });
    reading = read;
    return read;
  };
}

function workersFor(count: number, partBytes: number): number {
  return Math.min(count, MOST_WORKERS, Math.max(1, Math.floor(MOST_HELD_BYTES / partBytes)));
}

/**
 * What the store calls a part that is there, where it is this piece: as recorded when it was sent, else by its own checksum,
 * else by the MD5 that most stores call it. Null: it has to be sent.
 */
function sameEtag(
  piece: Buffer,
  there: Part | undefined,
  recorded: string | undefined,
): string | null {
  const etag = there?.ETag;
  if (there === undefined || etag === undefined || there.Size !== piece.length) {
    return null;
  }
  const isSame =
    recorded === etag ||
    (there.ChecksumCRC32 !== undefined && there.ChecksumCRC32 === crc32Of(piece)) ||
    etag.replaceAll('"', '') === createHash('md5').update(piece).digest('hex');
  return isSame ? etag : null;
}

async function sendPart(
  bucket: Bucket,
  part: PartsToSend & {
    readonly number: number;
    readonly piece: Buffer;
    readonly checksum: ChecksumParameters;
  },
  signal: AbortSignal,
): Promise<string> {
  const command = new bucket.sdk.UploadPartCommand({
    Bucket: bucket.place.bucket,
    Key: bucket.fullKey(part.key),
    UploadId: part.record.state.uploadId,
    PartNumber: part.number,
    Body: part.piece,
    ContentLength: part.piece.length,
    ...part.checksum,
  });
  const { ETag } = await bucket.ask(
    { action: 's3:PutObject', key: part.key },
    signal,
    async (options) => bucket.client.send(command, options),
  );
  return ETag ?? '';
}
