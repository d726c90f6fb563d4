import { getSystemErrorMessage } from 'node:util';
import { BackupdError, toError } from '../core/errors.ts';
import { isSystemError } from '../core/system-error.ts';

const NO_SPACE = new Set(['ENOSPC', 'EDQUOT']);

const HINTS: Readonly<Record<string, string>> = {
  EACCES: 'Let the user that backupd runs as read and write it, or run backupd as its owner.',
  EPERM: 'Let the user that backupd runs as read and write it, or run backupd as its owner.',
  EROFS:
    'It is mounted read-only: remove ":ro" from the mount, or look at why the disk went read-only.',
  ENOENT: 'Mount a volume or a directory there, or set BACKUPD_DIR to one that exists.',
  ENOTDIR: 'Mount a directory there, or set BACKUPD_DIR to one.',
};

/**
 * The error to throw for one that the file system raised: `no-space` where the disk or a quota is full,
 * `storage-unavailable` for everything else that the file system refuses. Errors of other origin come back as they are.
 */
export function storageError(thrown: unknown, path: string): Error {
  if (!isSystemError(thrown)) {
    return toError(thrown);
  }
  const { code } = thrown;
  if (NO_SPACE.has(code)) {
    return new BackupdError('no-space', `no space left to write ${path} (${code})`, {
      hint: 'Free space there, make the volume larger, or keep fewer backups (BACKUPD_KEEP).',
      cause: thrown,
    });
  }
  return new BackupdError(
    'storage-unavailable',
    `${path} cannot be used: ${getSystemErrorMessage(thrown.errno)} (${code})`,
    { hint: HINTS[code] ?? 'Look at the disk and at how it is mounted.', cause: thrown },
  );
}

/** Does the work and turns what the file system raises into errors that name the path. */
export async function onStorage<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storageError(error, path);
  }
}
