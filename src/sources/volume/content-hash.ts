import type { Hash } from 'node:crypto';

/** Zeros of this length, aligned, are left out of the hash; also the least that file systems make a hole of. */
const BLOCK_BYTES = 4096;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** The content of one file on its way into a hash. */
export interface ContentHash {
  readonly push: (bytes: Uint8Array) => void;
  /** Zeros that are not there: whatever their number, they cost nothing. */
  readonly skip: (bytes: number) => void;
  end(): void;
}

/**
 * Hashes a file by its content, not by how a file system holds it: blocks of zeros and holes are the same, and make no
 * difference but by where the rest is.
 */
export function contentHash(into: Hash): ContentHash {
  const blocks = blocksHash(into);
  const partial = Buffer.alloc(BLOCK_BYTES);
  let filled = 0;

  function addPartial(bytes: Uint8Array): void {
    partial.set(bytes, filled);
    filled += bytes.length;
    if (filled === BLOCK_BYTES) {
      blocks.push(partial);
      filled = 0;
    }
  }

  /** How many of so many bytes the block that was begun takes. */
  function takenByPartial(bytes: number): number {
    return filled === 0 ? 0 : Math.min(BLOCK_BYTES - filled, bytes);
  }

  return {
    push(bytes) {
      const first = takenByPartial(bytes.length);
      const whole = first + wholeBlocks(bytes.length - first);
      addPartial(bytes.subarray(0, first));
      blocks.push(bytes.subarray(first, whole));
      addPartial(bytes.subarray(whole));
    },
    skip(bytes) {
      const first = takenByPartial(bytes);
      addPartial(ZEROS.subarray(0, first));
      const whole = wholeBlocks(bytes - first);
      blocks.skip(whole);
      addPartial(ZEROS.subarray(0, bytes - first - whole));
    },
    end() {
      if (filled > 0) {
        addPartial(ZEROS.subarray(0, BLOCK_BYTES - filled));
      }
      blocks.end();
    },
  };
}

/** The same for whole blocks. They go into the hash in runs, each after its offset and followed by its length. */
function blocksHash(into: Hash): ContentHash {
  let offset = 0;
  let runStart: number | null = null;

  function number(value: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    into.update(bytes);
  }

  function endRun(): void {
    if (runStart !== null) {
      number(offset - runStart);
      runStart = null;
    }
  }

  /** None of them is all zeros. */
  function addRun(bytes: Uint8Array): void {
    if (bytes.length > 0) {
      if (runStart === null) {
        number(offset);
        runStart = offset;
      }
      into.update(bytes);
      offset += bytes.length;
    }
  }

  function skip(bytes: number): void {
    if (bytes > 0) {
      endRun();
      offset += bytes;
    }
  }

  return {
    push(bytes) {
      let from = 0;
      for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
        if (isZero(bytes, at)) {
          addRun(bytes.subarray(from, at));
          skip(BLOCK_BYTES);
          from = at + BLOCK_BYTES;
        }
      }
      addRun(bytes.subarray(from));
    },
    skip,
    end: endRun,
  };
}

function wholeBlocks(bytes: number): number {
  return bytes - (bytes % BLOCK_BYTES);
}

/** Most blocks tell by their first or last byte. */
function isZero(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at] === 0 &&
    bytes[at + BLOCK_BYTES - 1] === 0 &&
    ZEROS.equals(bytes.subarray(at, at + BLOCK_BYTES))
  );
}
