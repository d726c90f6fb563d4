import type { FileToPut, UploadJournal, UploadState } from '../../core/destination.ts';

const MIB = 1024 * 1024;
const SMALLEST_PART_BYTES = 16 * MIB;
/** Stores take 10 000 parts at most. */
const MOST_PARTS = 9900;

/** Equal parts but for the last one, as some stores demand: in whole MiB, as many as fit. */
export function partBytesOf(bytes: number): number {
  return Math.max(SMALLEST_PART_BYTES, Math.ceil(bytes / MOST_PARTS / MIB) * MIB);
}

/** Whether a recorded upload is one of this very file, in parts as they are made today. */
export function isOf(state: UploadState, key: string, file: FileToPut): boolean {
  return (
    state.key === key &&
    state.sha256 === file.sha256 &&
    state.bytes === file.bytes &&
    state.partBytes === partBytesOf(file.bytes)
  );
}

/** The record of an upload while it goes on. */
export interface UploadRecord {
  readonly state: UploadState;
  /** Notes what the store called a part; written down soon, and nobody waits for that. */
  note(number: number, etag: string): void;
  /** Resolves when all of it is written down. @throws what writing failed with */
  settle(): Promise<void>;
}

/** Goes on with a record. One write at a time: each holds all that was noted before it began. */
export function uploadRecord(journal: UploadJournal, begun: UploadState): UploadRecord {
  const etags: Record<number, string> = { ...begun.etags };
  let isNoted = true;
  let writing: Promise<void> | null = null;

  async function write(): Promise<void> {
    while (!isNoted) {
      isNoted = true;
      await journal.write({ ...begun, etags: { ...etags } });
    }
    writing = null;
  }

  return {
    state: begun,
    note(number, etag) {
      etags[number] = etag;
      isNoted = false;
      writing ??= write();
      // Whoever settles is told; until then it is nobody's.
      writing.catch(() => undefined);
    },
    async settle() {
      await writing;
    },
  };
}
