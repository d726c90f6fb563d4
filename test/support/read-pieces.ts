import { Readable } from 'node:stream';

/** As they come from a network: a reader may give up between two of them. */
const PIECE_BYTES = 64 * 1024;

/** Bytes as a stream that ends with the signal's reason. */
export function readPieces(bytes: Buffer, signal: AbortSignal): Readable {
  return Readable.from(piecesOf(bytes, signal), {
    objectMode: false,
    highWaterMark: PIECE_BYTES,
  });
}

function* piecesOf(bytes: Buffer, signal: AbortSignal): Generator<Buffer> {
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
    signal.throwIfAborted();
    yield bytes.subarray(from, from + PIECE_BYTES);
  }
}
