import { BackupdError } from '../../core/errors.ts';
import { BsonError, type Bson } from './bson.ts';

/** Told what an archive is made of, in its order. */
export interface ArchiveConsumer {
  /** The archive's own header, then what it says of each collection; then its end. */
  onPrelude(document: Bson): void;
  onPreludeEnd(): void;
  /** A block begins, or is all: whose documents these are, or that there are no more of them. */
  onBlock(header: Bson): void;
  /** Documents of that block begin, so many. */
  onDocuments(count: number): void;
  /** Their bytes, in pieces of any size. */
  onBytes(bytes: Uint8Array): void;
  onBlockEnd(): void;
}

const MAGIC = 0x8199e26d;
const TERMINATOR = -1;
const SHORTEST_DOCUMENT = 5;
/** A document has at most 16 MiB; the server's own may have a little more. */
const LONGEST_DOCUMENT = 16 * 1024 * 1024 + 64 * 1024;

interface State {
  expected: 'magic' | 'prelude' | 'block' | 'document';
  /** What came so far of a length, or of a document that has to be whole. */
  kept: Buffer;
  /** Bytes of a document that are still to come. */
  left: number;
}

/**
 * Takes an archive of `mongodump --archive` apart as it comes: four bytes of magic; documents up to a terminator; then blocks, each
 * a header and documents up to a terminator. Documents of blocks are passed on in pieces and not kept.
 */
export function archiveParser(consumer: ArchiveConsumer): {
  push(bytes: Uint8Array): void;
  end(): void;
} {
  const state: State = { expected: 'magic', kept: Buffer.alloc(0), left: 0 };
  return {
    push(bytes) {
      const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      let at = 0;
      try {
        while (at < all.length) {
          at += take(state, consumer, all.subarray(at));
        }
      } catch (error) {
        throw error instanceof BsonError ? corrupt(error.message) : error;
      }
    },
    end() {
      if (state.expected !== 'block' || state.left > 0 || state.kept.length > 0) {
        throw corrupt('ends before its end');
      }
    },
  };
}

/** @returns how many bytes it took, at least one */
function take(state: State, consumer: ArchiveConsumer, bytes: Buffer): number {
  if (state.left > 0) {
    return takeDocument(state, consumer, bytes);
  }
  const whole =
    state.expected === 'document' && state.kept.length === 0 ? takeWhole(consumer, bytes) : 0;
  return whole > 0 ? whole : takeLength(state, consumer, bytes);
}

/** Documents of a block that are there as a whole: this is where the time goes. @returns how many bytes it took */
function takeWhole(consumer: ArchiveConsumer, bytes: Buffer): number {
  let count = 0;
  let at = 0;
  while (at + 4 <= bytes.length) {
    const size = bytes.readInt32LE(at);
    const next = at + size;
    if (size < SHORTEST_DOCUMENT || next > bytes.length || bytes[next - 1] !== 0) {
      break;
    }
    count += 1;
    at = next;
  }
  if (count > 0) {
    consumer.onDocuments(count);
    consumer.onBytes(bytes.subarray(0, at));
  }
  return at;
}

function takeLength(state: State, consumer: ArchiveConsumer, bytes: Buffer): number {
  const taken = Math.min(4 - state.kept.length, bytes.length);
  const length = Buffer.concat([state.kept, bytes.subarray(0, taken)]);
  const isWhole = length.length === 4;
  state.kept = isWhole ? Buffer.alloc(0) : length;
  if (isWhole && state.expected === 'magic') {
    if (length.readUInt32LE() !== MAGIC) {
      throw corrupt('is no archive of mongodump');
    }
    state.expected = 'prelude';
  } else if (isWhole) {
    begin(state, consumer, length);
  }
  return taken;
}

/** A document begins, or a terminator ends them. */
function begin(state: State, consumer: ArchiveConsumer, length: Buffer): void {
  const size = length.readInt32LE();
  if (size === TERMINATOR && state.expected !== 'block') {
    if (state.expected === 'prelude') {
      consumer.onPreludeEnd();
    } else {
      consumer.onBlockEnd();
    }
    state.expected = 'block';
    return;
  }
  if (size < SHORTEST_DOCUMENT || size > LONGEST_DOCUMENT) {
    throw corrupt(`has a document of ${size} bytes`);
  }
  state.left = size - 4;
  if (state.expected === 'document') {
    consumer.onDocuments(1);
    consumer.onBytes(length);
  } else {
    state.kept = length;
  }
}

function takeDocument(state: State, consumer: ArchiveConsumer, bytes: Buffer): number {
  const piece = bytes.subarray(0, state.left);
  state.left -= piece.length;
  if (state.expected === 'document') {
    consumer.onBytes(piece);
    if (state.left === 0 && piece.at(-1) !== 0) {
      throw corrupt('has a document without its last byte');
    }
    return piece.length;
  }
  const document = Buffer.concat([state.kept, piece]);
  if (state.left > 0) {
    state.kept = document;
    return piece.length;
  }
  state.kept = Buffer.alloc(0);
  if (state.expected === 'prelude') {
    consumer.onPrelude(document);
  } else {
    consumer.onBlock(document);
    state.expected = 'document';
  }
  return piece.length;
}

export function corrupt(what: string): BackupdError {
  return new BackupdError('archive-corrupt', what);
}
