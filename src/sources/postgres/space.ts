import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { BackupdError } from '../../core/errors.ts';
import type { CompressedArchive } from '../../core/source.ts';
import { startExec } from '../../docker/exec.ts';
import type { Connection } from './connection.ts';
import { readFreeBytes } from './preflight.ts';

/** A server that runs out of disk while it writes WAL may not come up again: a restore stops before that. */
const LEAST_FREE_BYTES = 48 * 1024 * 1024;
/** What a plain byte becomes on the server's disk: rows, WAL, indexes. */
const DISK_BYTES_PER_BYTE = 3;
/** What may always be sent to the server between two looks; where there is much space, a tenth of what would fit. */
const LEAST_BYTES_PER_LOOK = LEAST_FREE_BYTES / DISK_BYTES_PER_BYTE;
const LOOK_MS = 200;

/** Looks at the server's disk all the time; disposing it ends that. */
export interface SpaceWatch extends AsyncDisposable {
  /** Aborts with `no-space` before the disk is full, or with why the disk cannot be watched any more. */
  readonly failed: AbortSignal;
  /** Passes an archive on, and holds it back where more was sent than a look has covered, by its plain bytes. */
  gate(archive: CompressedArchive): AsyncIterable<Buffer>;
}

/** Begins to watch the disk on which the server keeps its data; where it cannot be told nothing is watched. */
export async function watchSpace(
  connection: Connection,
  server: { readonly dataDirectory: string | null },
  signal: AbortSignal,
): Promise<SpaceWatch> {
  const failing = new AbortController();
  const ending = new AbortController();
  const directory =
    (await readFreeBytes(connection, server, signal)) === null ? null : server.dataDirectory;
  let sentBytes = 0;
  let freeBytes = 0;
  let looked = Promise.withResolvers<void>();

  function look(found: number): void {
    freeBytes = found;
    if (freeBytes < LEAST_FREE_BYTES) {
      failing.abort(noSpace(connection, freeBytes));
    }
    sentBytes = 0;
    looked.resolve();
    looked = Promise.withResolvers<void>();
  }

  async function watch(path: string): Promise<void> {
    try {
      await lookOn(connection, { path, look, ending: ending.signal }, signal);
    } catch (error) {
      failing.abort(error);
    }
  }
  const watching = directory === null ? Promise.resolve() : watch(directory);

  return {
    failed: failing.signal,
    async *gate({ stream, plainBytes }) {
      let seenBytes = 0;
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        const addedBytes = plainBytes() - seenBytes;
        seenBytes += addedBytes;
        sentBytes += addedBytes;
        if (directory !== null && sentBytes > bytesPerLook(freeBytes)) {
          await Promise.race([looked.promise, watching]);
          // A little that is compressed can be much.
          if (freeBytes - addedBytes * DISK_BYTES_PER_BYTE < LEAST_FREE_BYTES) {
            failing.abort(noSpace(connection, freeBytes));
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

function noSpace(connection: Connection, freeBytes: number): BackupdError {
  return new BackupdError(
    'no-space',
    `the disk of "${connection.container}" has only ${Math.floor(freeBytes / 1e6)} MB left`,
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
  connection: Connection,
  { path, look, ending }: Looking,
  signal: AbortSignal,
): Promise<void> {
  const process = await startExec(
    connection.docker,
    {
      containerId: connection.containerId,
      container: connection.container,
      // A mark of its own: ending the watch must not end the restore.
      run: `${connection.run}-space`,
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
    look(freeBytesIn(connection, answer.value));
    await waitFor(LOOK_MS, ending);
  }
  process.stdin?.end();
  await answers.next();
  const { exitCode } = await process.exited;
  if (exitCode !== 0) {
    throw new BackupdError(
      'restore-failed',
      `the disk of "${connection.container}" could not be watched: the shell ended with ${exitCode ?? 'no code'}`,
    );
  }
}

function freeBytesIn(connection: Connection, line: string): number {
  const available = line.trim().split(/\s+/).at(-3);
  if (available === undefined || !/^\d+$/.test(available)) {
    throw new BackupdError(
      'restore-failed',
      `the free space of "${connection.container}" cannot be told: df says "${line}"`,
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
