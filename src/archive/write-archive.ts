import { open, type FileHandle } from 'node:fs/promises';
import { Writable, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { callbackify } from 'node:util';
import type { Stages } from '../core/encryption.ts';
import type { Compression } from '../core/manifest.ts';
import type { PartFacts, StreamReader } from '../core/source.ts';
import { writeBehind, type WriteBehind } from '../files/write-behind.ts';
import { decodeAlongside } from './alongside.ts';
import { encoders } from './codecs.ts';
import { explainFailure } from './failures.ts';
import { plainMeter, storedMeter } from './meters.ts';
import { tap } from './tap.ts';

export interface WriteProgress {
  readonly storedBytes: number;
  readonly dumpBytes: number;
}

export interface ArchiveWriting {
  /** The file to make; it must not exist. */
  readonly path: string;
  /** How the stream is encoded already. */
  readonly encoding: Compression;
  /** How the file is to be; where the stream is encoded already, that is how. */
  readonly compression: { readonly algorithm: Compression; readonly level: number };
  /** What the compressed bytes go through before they are stored. */
  readonly encrypt: Stages;
  /** Sees the plain bytes. */
  readonly reader: StreamReader;
  /** Called about four times a second, and at the end. */
  readonly onProgress: (progress: WriteProgress) => void;
}

export interface WrittenArchive extends WriteProgress {
  /** Of the stored bytes, hex. */
  readonly sha256: string;
  readonly facts: PartFacts;
}

const PROGRESS_MS = 250;
/** What may wait for the disk. */
const FILE_BUFFER_BYTES = 1024 * 1024;

/**
 * Stores a dump: plain bytes through the reader, compressed where they are not yet, encrypted, hashed, into a new file of
 * mode 0600 that is on the disk when this resolves. Takes over the stream and destroys it on failure; the file, whole or in part,
 * is the caller's to remove.
 * @throws the stream's own error where it failed first; else BackupdError `archive-corrupt`, `no-space` or
 *   `storage-unavailable`, or what the encryption fails with
 */
export async function writeArchive(
  stream: Readable,
  how: ArchiveWriting,
  signal: AbortSignal,
): Promise<WrittenArchive> {
  const plain = plainMeter(how.reader);
  const stored = storedMeter();
  const stages =
    how.encoding === 'none'
      ? [tap(plain), ...encoders(how.compression)]
      : [decodeAlongside(how.encoding, plain)];
  const telling = setInterval(() => {
    how.onProgress({ storedBytes: stored.bytes(), dumpBytes: plain.bytes() });
  }, PROGRESS_MS);
  try {
    await using handle = await createFile(how.path);
    const behind = writeBehind(handle);
    const end = fileEnd(handle, behind);
    await pipeline([stream, ...stages, ...how.encrypt(), tap(stored), end], { signal });
    await behind.settle();
  } catch (error) {
    stream.destroy();
    signal.throwIfAborted();
    throw explainFailure(error, how.path);
  } finally {
    clearInterval(telling);
  }
  const counts = { storedBytes: stored.bytes(), dumpBytes: plain.bytes() };
  how.onProgress(counts);
  return { ...counts, sha256: stored.sha256(), facts: plain.facts() };
}

/** Whatever the umask is, the file gets its mode. */
async function createFile(path: string): Promise<FileHandle> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.chmod(0o600);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return handle;
}

/** Where the bytes go. The handle stays open; closing it waits for what is being written. */
function fileEnd(handle: FileHandle, behind: WriteBehind): Writable {
  // Each call writes all of its bytes, from where the last one ended.
  const append = callbackify(async (bytes: Buffer) => {
    await handle.writeFile(bytes);
    behind.wrote(bytes.length);
  });
  const appendAll = callbackify(async (pieces: readonly Buffer[]) => {
    await writePieces(handle, pieces);
    behind.wrote(pieces.reduce((sum, { length }) => sum + length, 0));
  });
  return new Writable({
    highWaterMark: FILE_BUFFER_BYTES,
    write(bytes: Buffer, _encoding, done) {
      append(bytes, done);
    },
    writev(waiting, done) {
      appendAll(
        waiting.map(({ chunk }) => chunk as Buffer),
        done,
      );
    },
  });
}

/** Writes what waited together: encryption makes pieces of a few bytes. */
async function writePieces(handle: FileHandle, pieces: readonly Buffer[]): Promise<void> {
  let rest = pieces;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest);
    rest = behind(rest, bytesWritten);
  }
}

/** The pieces without this many bytes at their beginning. */
function behind(pieces: readonly Buffer[], bytes: number): readonly Buffer[] {
  let left = bytes;
  return pieces.flatMap((piece) => {
    const rest = piece.subarray(left);
    left -= piece.length - rest.length;
    return rest.length > 0 ? [rest] : [];
  });
}
