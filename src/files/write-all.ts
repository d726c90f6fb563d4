import type { FileHandle } from 'node:fs/promises';

/** Writes all of these bytes at their place: one call may write fewer, as a disk that is filling up does. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}
