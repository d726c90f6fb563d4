import type Docker from 'dockerode';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { BackupdError } from '../core/errors.ts';
import type { Problem, RestorePlan } from '../core/restorer.ts';
import { startExec } from '../docker/exec.ts';
import { runExec } from '../docker/run-exec.ts';
import type { ArchiveFeed } from './feed.ts';

/** A disk that a restore is loaded into: that of a server, or of a volume. */
export interface LoadedDisk {
  readonly docker: Docker;
  readonly containerId: string;
  readonly container: string;
  readonly run: string;
  /** Whose it is, for people. */
  readonly owner: string;
  /** A path in the container; null where it is not known. */
  readonly directory: string | null;
  /** What a restore leaves of it. */
  readonly leastFreeBytes: number;
}

/** A server that runs out of disk while it writes WAL may not come up again: a restore stops before that. */
export const LEAST_FREE_BYTES = 48 * 1024 * 1024;
/** What a plain byte becomes on the server's disk: rows, WAL, indexes. */
const DISK_BYTES_PER_BYTE = 3;
/** What may always be sent to the server between two looks; where there is much space, a tenth of what would fit. */
const LEAST_BYTES_PER_LOOK = LEAST_FREE_BYTES / DISK_BYTES_PER_BYTE;
const LOOK_MS = 200;

/** The disk on which a server keeps its data, by its path in the container; null where that is not known. */
export function serverDisk(
  { docker, containerId, container, run }: ServerPlace,
  directory: string | null,
): LoadedDisk {
  const leastFreeBytes = LEAST_FREE_BYTES;
  return { docker, containerId, container, run, owner: container, directory, leastFreeBytes };
}

type ServerPlace = Pick<LoadedDisk, 'docker' | 'containerId' | 'container' | 'run'>;

/** Null where that cannot be told. */
async function readFreeBytes(
  { directory, docker, ...at }: LoadedDisk,
  signal: AbortSignal,
): Promise<number | null> {
  if (directory === null) {
    return null;
  }
  const result = await runExec(docker, { ...at, argv: ['df', '-Pk', '--', directory] }, signal);
  const available = result.stdout.trim().split('\n').at(-1)?.split(/\s+/).at(-3);
  return result.exitCode === 0 && available !== undefined && /^\d+$/.test(available)
    ? Number(available) * 1024
    : null;
}

/** Why a restore must not begin that needs so much beside what is there; nothing where it fits, or cannot be told. */
export async function spaceProblems(
  disk: LoadedDisk,
  neededBytes: number,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  const freeBytes = await readFreeBytes(disk, signal);
  if (freeBytes === null || freeBytes >= neededBytes) {
    return [];
  }
  return [
    {
      code: 'no-space',
      message: `the restore needs ${megabytes(neededBytes)} MB beside what is there, the disk of "${disk.owner}" has ${megabytes(freeBytes)} MB free`,
      hint: 'Free space there, drop what earlier restores kept (restore SOURCE --drop-previous), or restore into another container (--into).',
    },
  ];
}

/** What the databases of a plan took on the disk when they were backed up. */
export function sizeWhenDumped({ manifest, databases }: RestorePlan): number {
  return databases.reduce(
    (sum, { name }) => sum + (manifest.facts.databases[name]?.sizeBytes ?? 0),
    0,
  );
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 1_000_000);
}

/** Looks at a disk all the time; disposing it ends that. */
export interface SpaceWatch extends AsyncDisposable {
  /** Aborts with `no-space` before the disk is full, or with why the disk cannot be watched any more. */
  readonly failed: AbortSignal;
  /**
   * Passes an archive on, and holds it back where more was sent than a look has covered, by its plain bytes.
   * @param onPassed told how many of those passed so far
   */
  gate(feed: ArchiveFeed, onPassed: (plainBytes: number) => void): AsyncIterable<Buffer>;
}

/** Begins to watch a disk; where its free space cannot be told nothing is watched. */
export async function watchSpace(disk: LoadedDisk, signal: AbortSignal): Promise<SpaceWatch> {
  const failing = new AbortController();
  const ending = new AbortController();
  const directory = (await readFreeBytes(disk, signal)) === null ? null : disk.directory;
  let sentBytes = 0;
  let freeBytes = 0;
  let looked = Promise.withResolvers<void>();

  function look(found: number): void {
    freeBytes = found;
    if (freeBytes < disk.leastFreeBytes) {
      failing.abort(noSpace(disk, freeBytes));
    }
    sentBytes = 0;
    looked.resolve();
    looked = Promise.withResolvers<void>();
  }

  async function watch(path: string): Promise<void> {
    try {
      await lookOn(disk, { path, look, ending: ending.signal }, signal);
    } catch (error) {
      failing.abort(error);
    }
  }
  const watching = directory === null ? Promise.resolve() : watch(directory);

  return {
    failed: failing.signal,
    async *gate({ stream, plainBytes }, onPassed) {
      let seenBytes = 0;
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        const addedBytes = plainBytes === null ? chunk.length : plainBytes() - seenBytes;
        seenBytes += addedBytes;
        sentBytes += addedBytes;
        onPassed(seenBytes);
        if (directory !== null && sentBytes > bytesPerLook(freeBytes)) {
          await Promise.race([looked.promise, watching]);
          // A little that is compressed can be much.
          if (freeBytes - addedBytes * DISK_BYTES_PER_BYTE < disk.leastFreeBytes) {
            failing.abort(noSpace(disk, freeBytes));
          }
          failing.signal.throwIfAborted();
        }
        yield chunk;
      }
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      await watching;
    },
  };
}

function bytesPerLook(freeBytes: number): number {
  return Math.max(LEAST_BYTES_PER_LOOK, freeBytes / DISK_BYTES_PER_BYTE / 10);
}

function noSpace(disk: LoadedDisk, freeBytes: number): BackupdError {
  return new BackupdError(
    'no-space',
    `the disk of "${disk.owner}" has only ${Math.floor(freeBytes / 1e6)} MB left`,
    { hint: 'Free space there and restore again, or restore into another container (--into).' },
  );
}

interface Looking {
  readonly path: string;
  readonly look: (freeBytes: number) => void;
  readonly ending: AbortSignal;
}

/**
 * One exec that goes on, since one for each look costs a tenth of a core. It looks whenever a line asks it to and ends
 * with its input, so that nothing has to be killed.
 */
async function lookOn(
  disk: LoadedDisk,
  { path, look, ending }: Looking,
  signal: AbortSignal,
): Promise<void> {
  const process = await startExec(
    disk.docker,
    {
      containerId: disk.containerId,
      container: disk.container,
      // A mark of its own: ending the watch must not end the restore.
      run: `${disk.run}-space`,
      argv: ['sh', '-c', 'while read -r _; do df -Pk -- "$0" | tail -n 1; done', path],
      stdin: 'pipe',
    },
    signal,
  );
  const answers = createInterface({ input: process.stdout, crlfDelay: Infinity })[
    Symbol.asyncIterator
  ]();
  while (!ending.aborted) {
    process.stdin?.write('\n');
    const answer = await answers.next();
    if (answer.done === true) {
      break;
    }
    look(freeBytesIn(disk, answer.value));
    await waitFor(LOOK_MS, ending);
  }
  process.stdin?.end();
  await answers.next();
  const { exitCode } = await process.exited;
  if (exitCode !== 0) {
    throw new BackupdError(
      'restore-failed',
      `the disk of "${disk.owner}" could not be watched: the shell ended with ${exitCode ?? 'no code'}`,
    );
  }
}

function freeBytesIn(disk: LoadedDisk, line: string): number {
  const available = line.trim().split(/\s+/).at(-3);
  if (available === undefined || !/^\d+$/.test(available)) {
    throw new BackupdError(
      'restore-failed',
      `the free space of "${disk.owner}" cannot be told: df says "${line}"`,
    );
  }
  return Number(available) * 1024;
}

async function waitFor(ms: number, ending: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal: ending });
  } catch (error) {
    if (!ending.aborted) {
      throw error;
    }
  }
}
