/** What a parser wants next: so many bytes at once, or so many as they come. */
export type Want =
  | { readonly take: number }
  | { readonly pass: number; readonly to: (bytes: Uint8Array) => void };

/** Feeds a parser that is written as if it could wait for its bytes. */
export interface ByteFollower {
  readonly push: (bytes: Uint8Array) => void;
  /** Whether it wants no more. */
  isDone(): boolean;
}

/**
 * Runs a parser over bytes that come in pieces of any size. What follows after its end must be zeros.
 * @param tooMuch the error where it is not
 */
export function followBytes(
  parser: Generator<Want, void, Buffer>,
  tooMuch: () => Error,
): ByteFollower {
  const nothing = Buffer.alloc(0);
  let want = parser.next().value ?? null;
  let left = want === null ? 0 : sizeOf(want);
  let taken: Buffer[] = [];

  function advance(bytes: Buffer): void {
    const next = parser.next(bytes);
    want = next.done === true ? null : next.value;
    left = want === null ? 0 : sizeOf(want);
  }

  function give(wanted: Want, piece: Buffer): void {
    left -= piece.length;
    if ('to' in wanted) {
      wanted.to(piece);
      if (left === 0) {
        advance(nothing);
      }
      return;
    }
    if (left > 0) {
      // Copied: whoever gave it may use its memory again.
      taken.push(Buffer.from(piece));
      return;
    }
    const whole = taken.length === 0 ? piece : Buffer.concat([...taken, piece]);
    taken = [];
    advance(whole);
  }

  return {
    push(bytes) {
      const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      let at = 0;
      while (at < chunk.length) {
        if (want === null) {
          if (chunk.subarray(at).some((byte) => byte !== 0)) {
            throw tooMuch();
          }
          return;
        }
        const end = Math.min(at + left, chunk.length);
        const piece = chunk.subarray(at, end);
        at = end;
        give(want, piece);
      }
    },
    isDone: () => want === null,
  };
}

function sizeOf(want: Want): number {
  return 'to' in want ? want.pass : want.take;
}
