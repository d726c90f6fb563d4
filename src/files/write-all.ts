import type { FileHandle } from 'node:fs/promises';

/** Writes all of these bytes at their place: one call may write fewer, as a disk that is filling up does. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}

/** Writes all of these pieces one behind the other, in one call where the disk takes them. */
export async function writeTogether(
  file: FileHandle,
  pieces: readonly Uint8Array[],
  at: number,
): Promise<void> {
  const sizeBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const { bytesWritten } = await file.writev([...pieces], at);
  if (bytesWritten < sizeBytes) {
    await writeAll(file, Buffer.concat(pieces).subarray(bytesWritten), at + bytesWritten);
  }
}
