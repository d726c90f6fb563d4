/** Memory for bodies, used again: what an upload leaves to the garbage collector would be there twice for a while. */
export interface Buffers {
  /** One of exactly this size; its content is anything. */
  take(bytes: number): Buffer;
  /** Gives it back once nothing of it is on its way any more. */
  give(buffer: Buffer): void;
}

export function bufferPool(): Buffers {
  let free: Buffer[] = [];
  return {
    take(bytes) {
      const found = free.find(({ length }) => length === bytes);
      // Of one size at a time: files that are so large that they have parts of their own size are few.
      free = found === undefined ? [] : free.filter((buffer) => buffer !== found);
      return found ?? Buffer.allocUnsafeSlow(bytes);
    },
    give(buffer) {
      free.push(buffer);
    },
  };
}
