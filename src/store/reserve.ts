import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { STATE_FOLDER } from '../core/layout.ts';
import { removeFile, createFile, syncFolder } from './atomic-file.ts';
import { hasErrorCode, onStorage } from './storage-error.ts';

/** Enough for locks and a record of attempts, several times over. */
const RESERVED_BYTES = 128 * 1024;

/**
 * Keeps room for the record of a run that failed because the disk was full: a failure that could not be written down
 * would leave the metrics with the success before it.
 * @throws BackupdError `no-space`, `storage-unavailable`
 */
export async function ensureReserve(dir: string): Promise<void> {
  const folder = join(dir, STATE_FOLDER);
  const path = reservePath(dir);
  await onStorage(path, async () => {
    try {
      // Random, since some file systems compress.
      await createFile(path, randomBytes(RESERVED_BYTES / 2).toString('hex'));
    } catch (error) {
      if (hasErrorCode(error, 'EEXIST')) {
        return;
      }
      throw error;
    }
    await syncFolder(folder);
  });
}

/** Gives the room free. @throws BackupdError `storage-unavailable` */
export async function spendReserve(dir: string): Promise<void> {
  await removeFile(reservePath(dir));
}

function reservePath(dir: string): string {
  return join(dir, STATE_FOLDER, 'reserve');
}
