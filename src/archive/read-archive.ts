import { open, type FileHandle } from 'node:fs/promises';
import { pipeline, Readable, type Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Stages } from '../core/encryption.ts';
import type { ArchiveFile } from '../core/manifest.ts';
import type { StreamReader } from '../core/source.ts';
import type { CompressedArchive } from '../core/restorer.ts';
import { decodeAlongside } from './alongside.ts';
import { decoder, singleFrame, type Encoded } from './codecs.ts';
import { corruptArchive, errnoOf, explainReading } from './failures.ts';
import { plainMeter, storedMeter, type PlainMeter } from './meters.ts';
import { tap, type Tap } from './tap.ts';

/** Where the stored bytes of a file are: its path, or what gives them from elsewhere. */
export type StoredAt = string | StoredElsewhere;

/** A stored file that is not on this disk, or is not read as fast as this disk can. */
export interface StoredElsewhere {
  /** As messages call it: `s3:20261122T020000Z-full-3fa9/shop.dump.zst`. */
  readonly name: string;
  /** Its bytes from one end to the other, as many as are recorded. */
  open(): Readable;
}

/** How a stored file is read. */
export interface ArchiveReading {
  /** What the stored bytes go through before anything else. */
  readonly decrypt: Stages;
  /** Sees the plain bytes. */
  readonly reader: StreamReader | null;
}

const READ_BYTES = 256 * 1024;
/** Where stored bytes go on as they are, what a piece of them becomes has to be small. */
const STORED_READ_BYTES = 64 * 1024;
/** What may be read ahead of the consumer. */
const BUFFER_BYTES = 1024 * 1024;

/**
 * The plain bytes of a stored file. The stream ends only where everything held: stored size, SHA-256, the encryption, the
 * end of the compressed data, plain size and, with a reader, the format; otherwise it fails with BackupdError
 * `archive-corrupt`, also after it gave bytes. Opens the file when it is read from. The consumer owns the stream and may destroy it at any time.
 */
export function openArchive(
  at: StoredAt,
  file: ArchiveFile,
  how: ArchiveReading,
  signal: AbortSignal,
): Readable {
  return Readable.from(readPlain(at, file, how), {
    objectMode: false,
    highWaterMark: BUFFER_BYTES,
    signal,
  });
}

/**
 * The compressed bytes of a compressed file as they are, with all checks of {@link openArchive} made alongside: the stream
 * ends only where everything held. What it gave before that may be damaged.
 */
export function openCompressed(
  at: StoredAt,
  file: ArchiveFile & { readonly compression: Encoded },
  how: ArchiveReading,
  signal: AbortSignal,
): CompressedArchive {
  const plain = checkedPlain(nameOf(at), file, how.reader);
  const stream = Readable.from(readCompressed(at, file, { plain, decrypt: how.decrypt }), {
    objectMode: false,
    highWaterMark: STORED_READ_BYTES,
    signal,
  });
  return { stream, plainBytes: plain.bytes };
}

/**
 * Checks the stored bytes by size and SHA-256, without decoding them.
 * @throws BackupdError `archive-corrupt`, `storage-unavailable`
 */
export async function checkStored(
  at: StoredAt,
  file: ArchiveFile,
  signal: AbortSignal,
): Promise<void> {
  if (typeof at === 'string') {
    await checkFile(at, file, signal);
    return;
  }
  const checked = throughAll([at.open(), tap(checkedStored(at.name, file))]);
  try {
    await finished(checked.resume(), { signal, writable: false });
  } catch (error) {
    checked.destroy();
    signal.throwIfAborted();
    throw explainReading(error, at.name);
  }
}

/** Into one buffer again and again: with a stream of pieces a restore, which begins with this, took 30 MB more. */
async function checkFile(path: string, file: ArchiveFile, signal: AbortSignal): Promise<void> {
  await using handle = await openFile(path, file);
  const look = checkedStored(path, file);
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  try {
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, null);
      if (bytesRead === 0) {
        look.end();
        return;
      }
      look.chunk(buffer.subarray(0, bytesRead));
    }
  } catch (error) {
    signal.throwIfAborted();
    throw explainReading(error, path);
  }
}

/**
 * Reads a stored file all the way, as a restore would, and keeps nothing.
 * @param how `onBytes` is told how many plain bytes came with each piece
 * @returns how many stored bytes were read
 * @throws BackupdError `archive-corrupt`, `storage-unavailable`
 */
export async function checkContent(
  at: StoredAt,
  file: ArchiveFile,
  how: ArchiveReading & { readonly onBytes: (bytes: number) => void },
  signal: AbortSignal,
): Promise<number> {
  const plain = openArchive(at, file, how, signal);
  plain.on('data', (bytes: Buffer) => {
    how.onBytes(bytes.length);
  });
  try {
    await finished(plain);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  return file.storedBytes;
}

async function* readPlain(
  at: StoredAt,
  file: ArchiveFile,
  { decrypt, reader }: ArchiveReading,
): AsyncGenerator<Buffer> {
  const plain = throughAll([
    await openStored(at, file, READ_BYTES),
    tap(checkedStored(nameOf(at), file)),
    ...decrypt(),
    ...(file.compression === 'none'
      ? []
      : [tap(singleFrame(file.compression)), decoder(file.compression)]),
    tap(checkedPlain(nameOf(at), file, reader)),
  ]);
  yield* explained(plain, nameOf(at));
}

async function* readCompressed(
  at: StoredAt,
  file: ArchiveFile & { readonly compression: Encoded },
  { plain, decrypt }: { readonly plain: Tap; readonly decrypt: Stages },
): AsyncGenerator<Buffer> {
  const compressed = throughAll([
    await openStored(at, file, STORED_READ_BYTES),
    tap(checkedStored(nameOf(at), file)),
    ...decrypt(),
    decodeAlongside(file.compression, plain),
  ]);
  yield* explained(compressed, nameOf(at));
}

async function* explained(stream: Readable, path: string): AsyncGenerator<Buffer> {
  try {
    for await (const bytes of stream) {
      yield bytes as Buffer;
    }
  } catch (error) {
    throw explainReading(error, path);
  }
}

/** The last of these streams, fed by the others; it fails with whatever fails in one of them, and ends them when it is destroyed. */
function throughAll(streams: readonly [Readable, ...Duplex[]]): Readable {
  pipeline(streams, () => {
    // The last stream was destroyed with the error, and its reader is told.
  });
  return streams.at(-1) ?? streams[0];
}

function nameOf(at: StoredAt): string {
  return typeof at === 'string' ? at : at.name;
}

/** The stored bytes, if there are as many as recorded; the stream closes the file when it ends or is destroyed. */
async function openStored(at: StoredAt, file: ArchiveFile, readBytes: number): Promise<Readable> {
  return typeof at === 'string'
    ? (await openFile(at, file)).createReadStream({ highWaterMark: readBytes })
    : at.open();
}

async function openFile(path: string, file: ArchiveFile): Promise<FileHandle> {
  try {
    const handle = await open(path, 'r');
    try {
      checkSize(path, file, (await handle.stat()).size);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return handle;
  } catch (error) {
    throw errnoOf(error) === 'ENOENT'
      ? corruptArchive(path, 'is missing', error)
      : explainReading(error, path);
  }
}

function checkSize(path: string, file: ArchiveFile, sizeBytes: number): void {
  const difference = sizeBytes - file.storedBytes;
  if (difference !== 0) {
    throw corruptArchive(
      path,
      `is ${Math.abs(difference)} bytes ${difference < 0 ? 'shorter' : 'longer'} than recorded`,
    );
  }
}

function checkedStored(path: string, file: ArchiveFile): Tap {
  const meter = storedMeter();
  return {
    chunk: meter.chunk,
    end() {
      meter.end();
      checkSize(path, file, meter.bytes());
      if (meter.sha256() !== file.sha256) {
        throw corruptArchive(path, 'its SHA-256 differs from the recorded one');
      }
    },
  };
}

function checkedPlain(
  path: string,
  file: ArchiveFile,
  reader: StreamReader | null,
): Tap & Pick<PlainMeter, 'bytes'> {
  const meter = plainMeter(reader);
  return {
    bytes: meter.bytes,
    chunk: meter.chunk,
    end() {
      if (meter.bytes() !== file.dumpBytes) {
        throw corruptArchive(
          path,
          `decodes to ${meter.bytes()} bytes, ${file.dumpBytes} were recorded`,
        );
      }
      meter.end();
    },
  };
}
