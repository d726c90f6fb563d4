/** What is kept of a tool's stderr: its beginning and its end. */
export interface StderrTail {
  /** Takes bytes as they come; copies what it keeps. */
  readonly push: (bytes: Buffer) => void;
  /** Gives the last line, where it did not end with a newline. */
  readonly end: () => void;
  /** All that was written, or head and tail with the number of bytes between them that were left out. */
  readonly text: () => string;
}

/** Kept of the head, and as much of the tail; also where a line is cut that does not end. */
const KEPT_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/**
 * Keeps the first and the last 64 KiB of what is pushed.
 * @param onLine is given every line, also those that are not kept, without its newline
 */
export function stderrTail(onLine?: (line: string) => void): StderrTail {
  const head = cappedBytes();
  const tail = ringOfBytes();
  const lines = onLine === undefined ? null : lineSplitter(onLine);

  return {
    push(bytes) {
      lines?.push(bytes);
      tail.push(head.push(bytes));
    },
    end() {
      lines?.end();
    },
    text() {
      const leftOut = tail.droppedBytes();
      const between = leftOut === 0 ? '' : `\n[... ${leftOut} bytes left out ...]\n`;
      return leftOut === 0
        ? Buffer.concat([head.bytes(), tail.bytes()]).toString('utf8')
        : head.bytes().toString('utf8') + between + tail.bytes().toString('utf8');
    },
  };
}

interface CappedBytes {
  /** Keeps what fits and returns the rest. */
  readonly push: (bytes: Buffer) => Buffer;
  readonly bytes: () => Buffer;
}

function cappedBytes(): CappedBytes {
  const chunks: Buffer[] = [];
  let length = 0;
  return {
    push(bytes) {
      const fitting = bytes.subarray(0, KEPT_BYTES - length);
      if (fitting.length > 0) {
        // A copy: the slice would keep the whole chunk alive that it was read in.
        chunks.push(Buffer.from(fitting));
        length += fitting.length;
      }
      return bytes.subarray(fitting.length);
    },
    bytes: () => Buffer.concat(chunks),
  };
}

interface RingOfBytes {
  readonly push: (bytes: Buffer) => void;
  readonly bytes: () => Buffer;
  readonly droppedBytes: () => number;
}

function ringOfBytes(): RingOfBytes {
  let ring: Buffer | null = null;
  let total = 0;
  return {
    push(bytes) {
      if (bytes.length === 0) {
        return;
      }
      ring ??= Buffer.alloc(KEPT_BYTES);
      const kept = bytes.subarray(-KEPT_BYTES);
      const start = (total + bytes.length - kept.length) % KEPT_BYTES;
      const beforeWrap = kept.copy(ring, start);
      kept.copy(ring, 0, beforeWrap);
      total += bytes.length;
    },
    bytes() {
      if (ring === null || total <= KEPT_BYTES) {
        return ring?.subarray(0, total) ?? Buffer.alloc(0);
      }
      const start = total % KEPT_BYTES;
      return Buffer.concat([ring.subarray(start), ring.subarray(0, start)]);
    },
    droppedBytes: () => Math.max(0, total - KEPT_BYTES),
  };
}

interface LineSplitter {
  readonly push: (bytes: Buffer) => void;
  readonly end: () => void;
}

function lineSplitter(onLine: (line: string) => void): LineSplitter {
  let pending: Buffer[] = [];
  let pendingBytes = 0;

  function keep(bytes: Buffer): void {
    if (bytes.length > 0) {
      pending.push(Buffer.from(bytes));
      pendingBytes += bytes.length;
    }
  }

  function flush(): void {
    const line = Buffer.concat(pending).toString('utf8');
    pending = [];
    pendingBytes = 0;
    onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
  }

  return {
    push(bytes) {
      let at = 0;
      for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, at)) {
        keep(bytes.subarray(at, end));
        flush();
        at = end + 1;
      }
      keep(bytes.subarray(at));
      if (pendingBytes >= KEPT_BYTES) {
        flush();
      }
    },
    end() {
      if (pendingBytes > 0) {
        flush();
      }
    },
  };
}
