import { Transform } from 'node:stream';

/** What looks at a stream that passes by; either function may throw, which fails the stream. */
export interface Tap {
  /** Returns what is passed on. */
  readonly chunk: (bytes: Buffer) => Buffer;
  /** Called before the end is passed on, so that what it throws is seen instead of an end. */
  readonly end: () => void;
}

/** A stream that shows all that goes through to `look`. */
export function tap(look: Tap): Transform {
  return new Transform({
    transform(bytes: Buffer, _encoding, done) {
      let passed: Buffer;
      try {
        passed = look.chunk(bytes);
      } catch (error) {
        done(error as Error);
        return;
      }
      done(null, passed.length > 0 ? passed : undefined);
    },
    flush(done) {
      try {
        look.end();
      } catch (error) {
        done(error as Error);
        return;
      }
      done();
    },
  });
}
