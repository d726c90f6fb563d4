import { createHash, randomBytes } from 'node:crypto';
import { link, type FileHandle } from 'node:fs/promises';
import { constants } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FileToPut, PutResult } from '../../core/destination.ts';
import { damaged, openLocalFile, readPiece } from '../local-file.ts';
import type { Rate } from '../rate.ts';
import { hasErrorCode } from '../../core/system-error.ts';
import { syncFolder } from '../../files/sync-folder.ts';
import { writeAll } from '../../files/write-all.ts';
import { openBelow, ownFolder, removeBelow, renameBelow, withFolders } from './files.ts';
import { objectPath, partialFolder, readWhole, recordPath, statObject } from './objects.ts';
import type { ObjectRecord } from './objects.ts';

const PIECE_BYTES = 4 * 1024 * 1024;
/** File systems of old keep times in steps of two seconds: what is written in them is read as it was. */
const TIME_STEP_MS = 2000;

interface Root {
  readonly name: string;
  readonly path: string;
}

/** Puts a file: goes on behind what is there of it already, as far as that is the same. */
export async function putFileInto(
  root: Root,
  put: {
    readonly key: string;
    readonly file: FileToPut;
    readonly rate: Rate | null;
    /** Of what is known not to be this file. */
    readonly wrongEtag: string | null;
    readonly onProgress: (doneBytes: number) => void;
  },
  signal: AbortSignal,
): Promise<PutResult> {
  const { key, file, onProgress } = put;
  const same = await statObject(root.path, key);
  const isWrong = same?.etag === put.wrongEtag;
  if (same?.bytes === file.bytes && same.sha256 === file.sha256 && !isWrong) {
    onProgress(file.bytes);
    return { etag: same.etag, versionId: null, sentBytes: 0 };
  }
  await using source = await openLocalFile(file);
  const partial = join(partialFolder(root.path, key), file.sha256);
  const flags = constants.O_RDWR | constants.O_CREAT;
  const copied = await withPartial(root, partial, flags, async (target) => {
    const result = await copy(source, target, put, signal);
    const record = await seal(root, target, { key, sha256: file.sha256, bytes: file.bytes });
    return { ...result, record, isWhole: result.sha256 === file.sha256 };
  });
  if (!copied.isWhole) {
    await removeBelow(root.path, partial);
    throw damaged(file, 'its bytes are not those that were stored');
  }
  await writeRecord(root, key, copied.record);
  await renameBelow(root.path, partial, objectPath(root.path, key));
  await removeBelow(root.path, partial);
  onProgress(file.bytes);
  const { etag } = (await statObject(root.path, key)) ?? { etag: '' };
  return { etag, versionId: null, sentBytes: copied.sentBytes };
}

async function withPartial<T>(
  root: Root,
  path: string,
  flags: number,
  work: (target: FileHandle) => Promise<T>,
): Promise<T> {
  await using target = await openBelow(root.path, path, flags);
  return await work(target);
}

/** Copies what is missing, and hashes all of it. */
async function copy(
  source: FileHandle,
  target: FileHandle,
  put: Parameters<typeof putFileInto>[1],
  signal: AbortSignal,
): Promise<{ readonly sha256: string; readonly sentBytes: number }> {
  const { file, rate } = put;
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafeSlow(rate?.sliceBytes ?? PIECE_BYTES);
  const other = Buffer.allocUnsafeSlow(buffer.length);
  let { size: sameUntil } = await target.stat();
  let sentBytes = 0;
  for (let from = 0; from < file.bytes;) {
    signal.throwIfAborted();
    const piece = await readPiece(source, file, { buffer, from });
    hash.update(piece);
    const end = from + piece.length;
    if (end > sameUntil || !(await holds(target, piece, { from, other }))) {
      // From here on nothing there is looked at any more.
      sameUntil = 0;
      await rate?.take(piece.length, signal);
      await writeAll(target, piece, from);
      sentBytes += piece.length;
    }
    from = end;
    put.onProgress(from);
  }
  await target.truncate(file.bytes);
  return { sha256: hash.digest('hex'), sentBytes };
}

async function holds(
  target: FileHandle,
  piece: Buffer,
  { from, other }: { readonly from: number; readonly other: Buffer },
): Promise<boolean> {
  const { bytesRead } = await target.read(other, 0, piece.length, from);
  return bytesRead === piece.length && other.subarray(0, bytesRead).equals(piece);
}

/** Gives a file the time by which it is known, and makes it durable. */
async function seal(
  root: Root,
  target: FileHandle,
  about: { readonly key: string; readonly sha256: string; readonly bytes: number },
): Promise<ObjectRecord> {
  const before = await statObject(root.path, about.key);
  const now = Math.floor(Date.now() / TIME_STEP_MS) * TIME_STEP_MS;
  // Later than what it replaces, so that the two can be told apart.
  const modifiedMs =
    before === null
      ? now
      : Math.max(
          now,
          (Math.floor(Date.parse(before.modifiedAt) / TIME_STEP_MS) + 1) * TIME_STEP_MS,
        );
  await target.utimes(modifiedMs / 1000, modifiedMs / 1000);
  await target.sync();
  return { sha256: about.sha256, bytes: about.bytes, modifiedMs };
}

/** Puts a few bytes. */
export async function putInto(
  root: Root,
  { key, bytes }: { readonly key: string; readonly bytes: Uint8Array },
  how: { readonly ifAbsent: boolean },
): Promise<'put' | 'exists'> {
  const name = `put-${randomBytes(8).toString('hex')}`;
  const partial = join(partialFolder(root.path, key), name);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
  try {
    const record = await withPartial(root, partial, flags, async (target) => {
      await target.writeFile(bytes);
      return seal(root, target, { key, sha256, bytes: bytes.length });
    });
    if (how.ifAbsent && !(await linkIfAbsent(root, key, partial))) {
      // As where an earlier life of ours was cut off behind this point.
      const there = await readWhole(root, key);
      return there?.equals(bytes) === true ? 'put' : 'exists';
    }
    await writeRecord(root, key, record);
    if (!how.ifAbsent) {
      await renameBelow(root.path, partial, objectPath(root.path, key));
    }
    return 'put';
  } finally {
    await removeBelow(root.path, partial);
  }
}

/** False where something is there. */
async function linkIfAbsent(root: Root, key: string, partial: string): Promise<boolean> {
  const path = objectPath(root.path, key);
  try {
    await withFolders(root.path, path, async () => link(partial, path));
    await syncFolder(dirname(path));
    return true;
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) {
      return false;
    }
    if (!hasErrorCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK')) {
      throw error;
    }
  }
  // A file system without links: what is there was seen before, and of two writers at once the last one stays.
  if ((await statObject(root.path, key)) !== null) {
    return false;
  }
  await renameBelow(root.path, partial, path);
  return true;
}

async function writeRecord(root: Root, key: string, record: ObjectRecord): Promise<void> {
  const temporary = ownFolder(root.path, `sum-${randomBytes(8).toString('hex')}`);
  try {
    {
      await using file = await openBelow(root.path, temporary, 'wx');
      await file.writeFile(`${JSON.stringify(record)}\n`);
      await file.sync();
    }
    await renameBelow(root.path, temporary, recordPath(root.path, key));
  } finally {
    await removeBelow(root.path, temporary);
  }
}

/** Removes an object with what is recorded of it. */
export async function removeFrom(root: Root, key: string): Promise<void> {
  await removeBelow(root.path, objectPath(root.path, key));
  await removeBelow(root.path, recordPath(root.path, key));
}
