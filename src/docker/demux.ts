import { Readable } from 'node:stream';
import { toError } from '../core/errors.ts';
import { frameReader } from './frames.ts';

/** The connection to Docker ended where it must not: within a frame, or without an end. How the process fared is not known. */
export class StreamCut extends Error {
  override readonly name = 'StreamCut';
}

export interface DemuxOptions {
  /** Takes what came on stderr; a view that is only valid during the call. Throwing destroys the stream. */
  readonly onStderr: (bytes: Buffer) => void;
  /** How much may wait to be read; default 256 KiB. */
  readonly bufferedBytes?: number;
  /** Told whenever something came on stdout. */
  readonly onStdout?: () => void;
  /** Told once when the source ended between two frames; the stream ends after what is buffered was read. */
  readonly onEnd?: () => void;
  /**
   * Given why the stream is destroyed before its end (null: the consumer gave it up), resolves with what it shall say
   * instead; never rejects. The stream is closed, and its error told, only then.
   */
  readonly onDestroy?: (error: Error | null) => Promise<Error | null>;
}

const BUFFERED_BYTES = 256 * 1024;

/**
 * The stdout of an exec stream as a stream of its own. Reads from the source no faster than it is read from.
 * It owns the source and destroys it with itself.
 * Fails with StreamCut where the source breaks off, with BackupdError `target-unavailable` where it is not framed.
 */
export function demultiplex(source: Readable, options: DemuxOptions): Readable {
  let hasEnded = false;
  const joined = joiner();
  const frames = frameReader({ stdout: joined.add, stderr: options.onStderr });

  const stdout = new Readable({
    highWaterMark: options.bufferedBytes ?? BUFFERED_BYTES,
    read() {
      source.resume();
    },
    destroy(reason, tell) {
      source.destroy();
      if (hasEnded || options.onDestroy === undefined) {
        tell(reason);
      } else {
        void options.onDestroy(reason).then(tell);
      }
    },
  });

  function onData(chunk: Buffer): void {
    joined.begin(chunk);
    try {
      frames.push(chunk);
    } catch (error) {
      stdout.destroy(toError(error));
      return;
    }
    const bytes = joined.take();
    if (bytes === null) {
      return;
    }
    options.onStdout?.();
    if (!stdout.push(bytes)) {
      source.pause();
    }
  }

  source.pause();
  source.on('data', onData);
  source.once('end', () => {
    if (stdout.destroyed) {
      return;
    }
    if (!frames.isWhole()) {
      stdout.destroy(new StreamCut('the connection to Docker ended within a frame'));
      return;
    }
    hasEnded = true;
    stdout.push(null);
    options.onEnd?.();
  });
  source.on('error', onCut);
  source.once('close', onCut);

  function onCut(cause?: Error): void {
    if (!hasEnded && !stdout.destroyed) {
      stdout.destroy(brokeOff(cause));
    }
  }

  return stdout;
}

function brokeOff(cause?: Error): StreamCut {
  const detail = cause === undefined ? '' : `: ${cause.message}`;
  return new StreamCut(`the connection to Docker broke off${detail}`, { cause });
}

interface Joiner {
  readonly begin: (chunk: Buffer) => void;
  /** Takes slices of the chunk, in their order. */
  readonly add: (slice: Buffer) => void;
  readonly take: () => Buffer | null;
}

/**
 * Makes one piece of all payload in a chunk by moving it over the headers between, within the chunk itself: what goes
 * on has the size of a read (up to 64 KiB) instead of that of a frame, and no memory is allocated for it. Measured against collecting
 * into larger buffers: the same speed for a third less memory.
 */
function joiner(): Joiner {
  let chunk: Buffer = Buffer.alloc(0);
  let start = 0;
  let end = 0;
  return {
    begin(next) {
      chunk = next;
      start = 0;
      end = 0;
    },
    add(slice) {
      const at = slice.byteOffset - chunk.byteOffset;
      if (end === 0) {
        start = at;
        end = at;
      } else if (at !== end) {
        chunk.copyWithin(end, at, at + slice.length);
      }
      end += slice.length;
    },
    take: () => (end === start ? null : chunk.subarray(start, end)),
  };
}
