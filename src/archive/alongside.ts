import { Transform } from 'node:stream';
import { decoder, singleFrame, type Encoded } from './codecs.ts';
import type { Tap } from './tap.ts';

/**
 * Passes compressed bytes on as they are, each piece after it was decoded beside, so that the plain bytes and the true
 * end are seen. Fails where the stream is not exactly one whole frame, or where `plain` throws.
 */
export function decodeAlongside(encoding: Encoded, plain: Tap): Transform {
  const decoding = decoder(encoding);
  const frame = singleFrame(encoding);
  const passing = new Transform({
    transform(bytes: Buffer, _encoding, done) {
      attempt(done, () => {
        frame.chunk(bytes);
        decoding.write(bytes, (error) => {
          done(error, bytes);
        });
      });
    },
    flush(done) {
      attempt(done, () => {
        frame.end();
        decoding.once('end', () => {
          attempt(done, () => {
            plain.end();
            done();
          });
        });
        decoding.end();
      });
    },
    destroy(error, done) {
      decoding.destroy();
      done(error);
    },
  });
  decoding.on('data', (bytes: Buffer) => {
    attempt(
      (error) => {
        decoding.destroy(error);
      },
      () => {
        plain.chunk(bytes);
      },
    );
  });
  decoding.once('error', (error) => {
    passing.destroy(error);
  });
  return passing;
}

/** Streams take errors by callback; what is thrown inside one would end the process. */
function attempt(fail: (error: Error) => void, work: () => void): void {
  try {
    work();
  } catch (error) {
    fail(error as Error);
  }
}
