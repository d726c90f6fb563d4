import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { STATE_FOLDER } from '../core/layout.ts';
import { readText, removeFile, writeFileAtomically } from './atomic-file.ts';

/** Enough for locks and a record of attempts, several times over. */
const RESERVED_BYTES = 128 * 1024;

/**
 * Keeps room for the record of a run that failed because the disk was full: a failure that could not be written down
 * would leave the metrics with the success before it.
 * @throws BackupdError `no-space`, `storage-unavailable`
 */
export async function ensureReserve(dir: string): Promise<void> {
  const path = reservePath(dir);
  if ((await readText(path)) === null) {
    // Random, since some file systems compress.
    await writeFileAtomically(path, randomBytes(RESERVED_BYTES / 2).toString('hex'));
  }
}

/** Gives the room free. @throws BackupdError `storage-unavailable` */
export async function spendReserve(dir: string): Promise<void> {
  await removeFile(reservePath(dir));
}

function reservePath(dir: string): string {
  return join(dir, STATE_FOLDER, 'reserve');
}
