import { createHash, type Hash } from 'node:crypto';
import { constants, open, rm, type FileHandle } from 'node:fs/promises';
import { atOnce } from '../core/at-once.ts';
import type { Destination, ListedVersion } from '../core/destination.ts';
import { BackupdError } from '../core/errors.ts';
import type { ArchiveFile } from '../core/manifest.ts';
import { reach } from '../core/steps.ts';
import { writeTogether } from '../files/write-all.ts';
import { writeBehind, type WriteBehind } from '../files/write-behind.ts';
import { FILE_MODE, setMode } from './atomic-file.ts';
import { readRange } from './remote-read.ts';
import { onStorage } from './storage-error.ts';

/** A file that is to be fetched. */
export interface FileToFetch {
  readonly destination: Destination;
  readonly file: Pick<ArchiveFile, 'name' | 'storedBytes' | 'sha256'>;
  /** All that may be it, the likeliest first. */
  readonly versions: readonly ListedVersion[];
  /** Where it is written to. */
  readonly path: string;
  /** Where it is written down which of its ranges are there. */
  readonly recordPath: string;
}

/** Told how many bytes of a file are there, those of earlier lives included. */
export type OnBytes = (doneBytes: number) => void;

const RANGE_BYTES = 16 * 1024 * 1024;
/** How many ranges are fetched side by side. */
const WIDTH = 4;
const HASH_BYTES = 1024 * 1024;
/** What comes of the network is some kilobytes each time: to write these one by one costs more than all else. */
const WRITE_BYTES = 256 * 1024;

/**
 * Fetches a file, several ranges at a time; resolves once it is whole by its SHA-256, and durable. The same call goes on
 * with what is there already, whatever ended the one before. Where several versions may be the file, the first that fits.
 * @throws BackupdError `archive-corrupt` where none fits, what the destination throws, `no-space`, `storage-unavailable`
 */
export async function fetchFile(
  what: FileToFetch,
  onBytes: OnBytes,
  signal: AbortSignal,
): Promise<void> {
  const { destination, file, versions, path, recordPath } = what;
  for (const version of versions) {
    let found = await fetchVersion(what, version, onBytes, signal);
    if (found === 'resumed-wrong') {
      // What an earlier life left may be what is wrong: a power cut takes bytes that were written.
      found = await fetchVersion(what, version, onBytes, signal);
    }
    if (found === 'right') {
      return;
    }
  }
  await discard(path, recordPath);
  throw new BackupdError(
    'archive-corrupt',
    `${file.name} at ${destination.name} is not what was stored there: its SHA-256 differs from the recorded one`,
    { hint: 'Take another copy or another backup: see "backupd list", also with --from.' },
  );
}

async function discard(path: string, recordPath: string): Promise<void> {
  await onStorage(path, async () => {
    await rm(recordPath, { force: true });
    await rm(path, { force: true });
  });
}

async function fetchVersion(
  what: FileToFetch,
  version: ListedVersion,
  onBytes: OnBytes,
  signal: AbortSignal,
): Promise<'right' | 'wrong' | 'resumed-wrong'> {
  const { path, recordPath, file } = what;
  return onStorage(path, async () => {
    await using record = await openRecord(recordPath, version);
    if (!record.isResumed) {
      await rm(path, { force: true });
    }
    await using data = await open(path, constants.O_RDWR | constants.O_CREAT, FILE_MODE);
    await setMode(data);
    const behind = writeBehind(data);
    const sha256 = await fetchRanges({ ...what, version, record, data, behind }, onBytes, signal);
    if (sha256 === file.sha256) {
      await behind.settle();
      reach('file-fetched');
      return 'right';
    }
    await discard(path, recordPath);
    return record.isResumed ? 'resumed-wrong' : 'wrong';
  });
}

interface Fetching extends FileToFetch {
  readonly version: ListedVersion;
  readonly record: RangeRecord;
  readonly data: FileHandle;
  readonly behind: WriteBehind;
}

/** @returns the SHA-256 of the whole file, hex */
async function fetchRanges(
  fetching: Fetching,
  onBytes: OnBytes,
  signal: AbortSignal,
): Promise<string> {
  const { record, data, file } = fetching;
  const count = Math.ceil(file.storedBytes / RANGE_BYTES);
  const indexes = [...Array(count).keys()];
  const hash = createHash('sha256');
  let hashed = 0;
  let hashing = Promise.resolve();
  let doneBytes = indexes
    .filter((index) => record.has(index))
    .reduce((sum, index) => sum + rangeOf(index, file).bytes, 0);
  onBytes(doneBytes);

  /** The ranges come in any order, and are hashed in theirs as soon as all before are there. */
  async function hashOn(): Promise<void> {
    for (; hashed < count && record.has(hashed); hashed += 1) {
      await hashRange(data, rangeOf(hashed, file), hash, signal);
    }
  }

  const missing = indexes.filter((index) => !record.has(index));
  await atOnce(missing, WIDTH, async (index) => {
    await fetchRange(
      fetching,
      index,
      (bytes) => {
        doneBytes += bytes;
        onBytes(doneBytes);
      },
      signal,
    );
    await record.add(index);
    reach('range-fetched');
    hashing = hashing.then(hashOn);
    await hashing;
  });
  await hashOn();
  return hash.digest('hex');
}

function rangeOf(
  index: number,
  { storedBytes }: Pick<ArchiveFile, 'storedBytes'>,
): { readonly from: number; readonly bytes: number } {
  const from = index * RANGE_BYTES;
  return { from, bytes: Math.min(RANGE_BYTES, storedBytes - from) };
}

async function fetchRange(
  { destination, version, data, behind, file }: Fetching,
  index: number,
  onMore: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const range = rangeOf(index, file);
  let at = range.from;
  let pieces: Buffer[] = [];
  let heldBytes = 0;

  async function write(): Promise<void> {
    await writeTogether(data, pieces, at);
    behind.wrote(heldBytes);
    at += heldBytes;
    onMore(heldBytes);
    pieces = [];
    heldBytes = 0;
  }

  for await (const bytes of readRange({ destination, object: version }, range, signal)) {
    pieces.push(bytes);
    heldBytes += bytes.length;
    if (heldBytes >= WRITE_BYTES) {
      await write();
    }
  }
  await write();
}

async function hashRange(
  data: FileHandle,
  { from, bytes }: { readonly from: number; readonly bytes: number },
  hash: Hash,
  signal: AbortSignal,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(HASH_BYTES, bytes));
  for (let done = 0; done < bytes;) {
    signal.throwIfAborted();
    const length = Math.min(buffer.length, bytes - done);
    const { bytesRead } = await data.read(buffer, 0, length, from + done);
    if (bytesRead === 0) {
      // Less is there than was recorded: the SHA-256 will tell.
      return;
    }
    hash.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
  }
}

/** Which ranges of one version of an object are there. */
interface RangeRecord extends AsyncDisposable {
  /** Whether an earlier life left it. */
  readonly isResumed: boolean;
  has(index: number): boolean;
  add(index: number): Promise<void>;
}

/** Its first line says of what it is; one that is of something else begins anew. A line that was torn counts as none. */
async function openRecord(path: string, version: ListedVersion): Promise<RangeRecord> {
  const { key, versionId, etag, bytes } = version;
  const about = JSON.stringify({ key, versionId, etag, bytes, rangeBytes: RANGE_BYTES });
  const file = await open(
    path,
    constants.O_RDWR | constants.O_CREAT | constants.O_APPEND,
    FILE_MODE,
  );
  await setMode(file);
  const [first, ...lines] = (await file.readFile('utf8')).split('\n');
  const isResumed = first === about && lines.length > 1;
  const there = new Set<number>();
  if (isResumed) {
    for (const line of lines.filter((text) => /^\d+\.$/.test(text))) {
      there.add(Number.parseInt(line, 10));
    }
    // Ends a line that was torn.
    await file.write('\n');
  } else {
    await file.truncate(0);
    await file.write(`${about}\n`);
  }
  return {
    isResumed,
    has: (index) => there.has(index),
    async add(index) {
      await file.write(`${index}.\n`);
      there.add(index);
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}
