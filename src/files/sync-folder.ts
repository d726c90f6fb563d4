import { open } from 'node:fs/promises';
import { hasErrorCode } from '../core/system-error.ts';

/** Makes names that were added to a folder, or taken from it, durable. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Some network and FUSE file systems cannot sync a folder: there names are as durable as the server makes them.
    if (!hasErrorCode(error, 'EINVAL', 'ENOTSUP', 'ENOSYS', 'EBADF')) {
      throw error;
    }
  }
}
