import { createInterface } from 'node:readline';
import { BackupdError } from '../../core/errors.ts';
import { startExec } from '../../docker/exec.ts';
import type { Connection } from './connection.ts';
import { readFreeBytes } from './preflight.ts';

/** A server that runs out of disk while it writes WAL may not come up again: a restore stops before that. */
const LEAST_FREE_BYTES = 48 * 1024 * 1024;
/** What may be sent to the server between two looks; it becomes about three times as much on disk (rows, WAL, indexes). */
const BYTES_PER_LOOK = 16 * 1024 * 1024;
const LOOK_SECONDS = 0.2;

/** Looks at the server's disk all the time; disposing it ends that. */
export interface SpaceWatch extends AsyncDisposable {
  /** Aborts with `no-space` before the disk is full, or with why the disk cannot be watched any more. */
  readonly failed: AbortSignal;
  /** Passes a stream on, and holds it back where more was sent than a look has covered. */
  gate(stream: AsyncIterable<Buffer>): AsyncIterable<Buffer>;
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
  let looked = Promise.withResolvers<void>();

  function look(line: string): void {
    const freeBytes = Number(line.trim().split(/\s+/).at(-3)) * 1024;
    if (freeBytes < LEAST_FREE_BYTES) {
      failing.abort(
        new BackupdError(
          'no-space',
          `the disk of "${connection.container}" has only ${Math.floor(freeBytes / 1e6)} MB left`,
          {
            hint: 'Free space there and restore again, or restore into another container (--into).',
          },
        ),
      );
    }
    sentBytes = 0;
    looked.resolve();
    looked = Promise.withResolvers<void>();
  }

  const watching =
    directory === null
      ? Promise.resolve()
      : lookOn(connection, directory, look, AbortSignal.any([signal, ending.signal])).catch(
          (error: unknown) => {
            if (!ending.signal.aborted) {
              failing.abort(error);
            }
          },
        );

  return {
    failed: failing.signal,
    async *gate(stream) {
      for await (const chunk of stream) {
        sentBytes += chunk.length;
        if (directory !== null && sentBytes > BYTES_PER_LOOK) {
          await Promise.race([looked.promise, watching]);
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

/** One exec that goes on, since one for each look costs a tenth of a core. */
async function lookOn(
  connection: Connection,
  directory: string,
  look: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const script = `while df -Pk -- "$0" | tail -n 1; do sleep ${LOOK_SECONDS} || exit; done`;
  const process = await startExec(
    connection.docker,
    {
      containerId: connection.containerId,
      container: connection.container,
      // A mark of its own: ending the watch must not end the restore.
      run: `${connection.run}-space`,
      argv: ['sh', '-c', script, directory],
    },
    signal,
  );
  createInterface({ input: process.stdout, crlfDelay: Infinity }).on('line', look);
  const { exitCode } = await process.exited;
  throw new BackupdError(
    'restore-failed',
    `the disk of "${connection.container}" could not be watched: df ended with ${exitCode ?? 'no code'}`,
  );
}
