import { BackupdError } from '../../core/errors.ts';

/** Asks for length-prefixed chunks, through the empty one that ends them, to be passed over. */
export const CHUNKS = Symbol('chunks');
/** Asks for one byte, or none where the archive ends here. */
export const BYTE_OR_END = Symbol('byte or end');

/** What a grammar asks for next: so many bytes, or one of the above. */
export type Wanted = number | typeof CHUNKS | typeof BYTE_OR_END;

/** Describes an archive by asking for its bytes, one piece after the other; a piece is only valid until the next is asked for. */
export type Grammar<Result> = Generator<Wanted, Result, Buffer>;

/** Feeds a grammar from a stream cut anywhere. */
export interface Parser<Result> {
  /** @returns how many of these bytes were taken: fewer than all once the grammar has come to its end */
  push(bytes: Uint8Array): number;
  readonly done: boolean;
  /** @throws BackupdError `archive-corrupt` where the grammar wants more. */
  end(): Result;
}

const INT_BYTES = 5;
/** Nothing that pg_dump writes in one piece comes near; a damaged length must not make us wait for gigabytes. */
const LARGEST_PIECE_BYTES = 256 * 1024 * 1024;
const NOTHING = Buffer.alloc(0);

export function corrupt(fact: string): BackupdError {
  return new BackupdError('archive-corrupt', fact);
}

/** An integer as archives have it since 1.1: a sign, then four bytes, the lowest first. */
export function* readInt(): Grammar<number> {
  const bytes = yield INT_BYTES;
  const size = bytes.readUInt32LE(1);
  return bytes[0] === 0 ? size : -size;
}

/** A string; null where there is none. */
export function* readText(decode: (bytes: Buffer) => string): Grammar<string | null> {
  const length = yield* readInt();
  if (length > LARGEST_PIECE_BYTES) {
    throw corrupt(`has a string of ${length} bytes in its table of contents`);
  }
  return length < 0 ? null : length === 0 ? '' : decode(yield length);
}

/** Starts a grammar. Nothing is copied but pieces that were cut, and chunks are passed over without a look at their content. */
export function startParser<Result>(grammar: Grammar<Result>): Parser<Result> {
  let step = grammar.next();
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  const chunks = chunkSkipper();

  function take(bytes: Uint8Array, at: number, wanted: number): number {
    const taken = Math.min(wanted - heldBytes, bytes.length - at);
    const piece = bytes.subarray(at, at + taken);
    if (heldBytes + taken < wanted) {
      held.push(piece);
      heldBytes += taken;
    } else {
      const whole = held.length === 0 ? asBuffer(piece) : Buffer.concat([...held, piece]);
      held = [];
      heldBytes = 0;
      step = grammar.next(whole);
    }
    return at + taken;
  }

  function skip(bytes: Uint8Array, from: number): number {
    const at = chunks.skip(bytes, from);
    if (chunks.ended()) {
      step = grammar.next(NOTHING);
    }
    return at;
  }

  return {
    push(bytes) {
      let at = 0;
      while (step.done !== true && at < bytes.length) {
        const wanted = step.value;
        at =
          wanted === CHUNKS
            ? skip(bytes, at)
            : take(bytes, at, wanted === BYTE_OR_END ? 1 : wanted);
      }
      return at;
    },
    get done() {
      return step.done === true;
    },
    end() {
      if (step.done !== true && step.value === BYTE_OR_END) {
        step = grammar.next(NOTHING);
      }
      if (step.done !== true) {
        throw corrupt('ends in the middle of the archive');
      }
      return step.value;
    },
  };
}

interface ChunkSkipper {
  /** @returns where it stopped: at the end of the bytes, or behind the empty chunk */
  skip(bytes: Uint8Array, from: number): number;
  /** Whether it stopped behind the empty chunk; starts anew when it did. */
  ended(): boolean;
}

/** Passes over chunks. Uncompressed dumps have one for every row: this loop decides how fast an archive is read. */
function chunkSkipper(): ChunkSkipper {
  const cut = Buffer.alloc(INT_BYTES);
  let cutBytes = 0;
  let leftBytes = 0;
  let last = false;

  function skip(bytes: Uint8Array, from: number): number {
    let at = from;
    while (leftBytes <= bytes.length - at) {
      at += leftBytes;
      leftBytes = 0;
      if (cutBytes > 0 || bytes.length - at < INT_BYTES) {
        const header = bytes.subarray(at, at + INT_BYTES - cutBytes);
        cut.set(header, cutBytes);
        cutBytes += header.length;
        at += header.length;
        if (cutBytes < INT_BYTES) {
          return at;
        }
        cutBytes = 0;
        leftBytes = chunkLength(cut, 0);
      } else {
        leftBytes = chunkLength(bytes, at);
        at += INT_BYTES;
      }
      if (leftBytes === 0) {
        last = true;
        return at;
      }
    }
    leftBytes -= bytes.length - at;
    return bytes.length;
  }

  return {
    skip,
    ended() {
      const was = last;
      last = false;
      return was;
    },
  };
}

/** Reads bytes one by one: for so few of them that is several times as fast as a Buffer's methods. */
function chunkLength(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== 0) {
    throw corrupt('has a chunk of negative length');
  }
  return (
    ((bytes[at + 1] ?? 0) |
      ((bytes[at + 2] ?? 0) << 8) |
      ((bytes[at + 3] ?? 0) << 16) |
      ((bytes[at + 4] ?? 0) << 24)) >>>
    0
  );
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
