import type { Readable, Writable } from 'node:stream';

/** A stream of this process that may be a terminal. */
export type OutStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** What a command has of the process it runs in. */
export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: OutStream;
  readonly stderr: OutStream;
  /** Calls back at the first of these signals; gives what stops it, after which the signal does what it always did. */
  onSignal(listener: (signal: 'SIGINT' | 'SIGTERM') => void): () => void;
  /** Calls back at an error that nobody caught, which ends the process no more; gives what stops it. */
  onFault(listener: (error: unknown) => void): () => void;
  /** Milliseconds that only ever grow, from any beginning. */
  elapsedMs(): number;
}

/**
 * The streams and signals of this process. From now on it outlives its terminal: a hang-up is ignored, since whoever
 * began a restore and lost the connection wants it to end well.
 */
export function processIo(): Io {
  process.on('SIGHUP', () => {
    // Ignored on purpose, see above; without a listener the process would end here.
  });
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    onSignal(listener) {
      const signals = ['SIGINT', 'SIGTERM'] as const;
      function stop(): void {
        for (const signal of signals) {
          process.off(signal, heard);
        }
      }
      function heard(signal: NodeJS.Signals): void {
        stop();
        listener(signal as 'SIGINT' | 'SIGTERM');
      }
      for (const signal of signals) {
        process.on(signal, heard);
      }
      return stop;
    },
    onFault(listener) {
      const faults = ['uncaughtException', 'unhandledRejection'] as const;
      for (const fault of faults) {
        process.on(fault, listener);
      }
      return () => {
        for (const fault of faults) {
          process.off(fault, listener);
        }
      };
    },
    elapsedMs: () => performance.now(),
  };
}

/** What became of a stream that others may close. */
export interface Guard {
  /** Whether its reader went away. */
  isGone(): boolean;
  /** Any other reason why it could not be written; null where there is none. */
  failure(): Error | null;
}

/** Keeps a stream whose reader or terminal went away from ending the process; other errors are kept to be told. */
export function guardStream(stream: Writable): Guard {
  let gone = false;
  let failure: Error | null = null;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // A command whose terminal or pipe goes away goes on: its work is more than what it says about it.
    if (error.code === 'EPIPE' || error.code === 'EIO') {
      gone = true;
    } else {
      failure ??= error;
    }
  });
  return { isGone: () => gone, failure: () => failure };
}

/** Resolves when everything written so far was handed on or refused. */
export async function flush(stream: Writable): Promise<void> {
  await new Promise<void>((resolve) => {
    if (stream.destroyed || stream.errored !== null) {
      // Such a stream never calls back, and tells its error in the next tick.
      setImmediate(resolve);
    } else {
      stream.write('', () => {
        resolve();
      });
    }
  });
}
