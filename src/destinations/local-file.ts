import { open, type FileHandle } from 'node:fs/promises';
import { BackupdError } from '../core/errors.ts';
import type { FileToPut } from '../core/destination.ts';

/** Opens a file that is to be put. @throws BackupdError `storage-unavailable`, `archive-corrupt` where its size is another */
export async function openLocalFile(file: FileToPut): Promise<FileHandle> {
  const handle = await onLocal(file.path, async () => open(file.path, 'r'));
  try {
    const { size } = await onLocal(file.path, async () => handle.stat());
    if (size !== file.bytes) {
      throw damaged(file, `it has ${size} bytes, ${file.bytes} were stored`);
    }
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Fills the buffer from this place on, or as far as the file goes; returns what was filled. */
export async function readPiece(
  handle: FileHandle,
  file: FileToPut,
  { buffer, from }: { readonly buffer: Buffer; readonly from: number },
): Promise<Buffer> {
  const wanted = Math.min(buffer.length, file.bytes - from);
  let filled = 0;
  while (filled < wanted) {
    const { bytesRead } = await onLocal(file.path, async () =>
      handle.read(buffer, filled, wanted - filled, from + filled),
    );
    if (bytesRead === 0) {
      throw damaged(file, `it ends at byte ${from + filled}, ${file.bytes} were stored`);
    }
    filled += bytesRead;
  }
  return buffer.subarray(0, wanted);
}

/** That a file is not what it was when it was stored. */
export function damaged(file: FileToPut, what: string): BackupdError {
  return new BackupdError('archive-corrupt', `${file.path} is damaged: ${what}`, {
    hint: 'It was not sent. Run "backupd verify" to see what else is damaged, and look at the disk.',
  });
}

async function onLocal<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new BackupdError('storage-unavailable', `${path} cannot be read: ${what}`, {
      hint: 'Look at the disk and at how it is mounted.',
      cause: error,
    });
  }
}
