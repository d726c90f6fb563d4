import type { FileHandle } from 'node:fs/promises';

/** Sends to the disk what was written while more is coming, so that the sync at the end finds little left to do. */
export interface WriteBehind {
  /** To be called after each write. @throws what the disk said of those before: it says so once only */
  wrote(bytes: number): void;
  /** Resolves once all that was written is on the disk. @throws what the disk said of any of it */
  settle(): Promise<void>;
}

/** Often enough that little is left, and seldom enough that a journal is not written all the time. */
const STEP_BYTES = 32 * 1024 * 1024;

export function writeBehind(file: Pick<FileHandle, 'datasync' | 'sync'>): WriteBehind {
  let waitingBytes = 0;
  let running: Promise<void> | null = null;
  const failures: unknown[] = [];

  async function flush(): Promise<void> {
    try {
      await file.datasync();
    } catch (error) {
      failures.push(error);
    } finally {
      running = null;
    }
  }

  function throwFailure(): void {
    if (failures.length > 0) {
      throw failures[0];
    }
  }

  return {
    wrote(bytes) {
      throwFailure();
      waitingBytes += bytes;
      if (waitingBytes >= STEP_BYTES && running === null) {
        waitingBytes = 0;
        running = flush();
      }
    },
    async settle() {
      await running;
      throwFailure();
      await file.sync();
    },
  };
}
