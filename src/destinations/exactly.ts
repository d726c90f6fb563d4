import type { Readable } from 'node:stream';

/** The pieces of a stream that has to end after so many bytes; the stream is destroyed where it is left before its end. */
export async function* exactly(stream: Readable, bytes: number): AsyncGenerator<Buffer> {
  let left = bytes;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    left -= piece.length;
    if (left < 0) {
      throw new Error(`it went on after ${bytes} bytes`);
    }
    yield piece;
  }
  if (left > 0) {
    throw new Error(`it ended ${left} bytes before its end`);
  }
}
