import { mkdir, open, rename, rmdir, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasErrorCode } from '../../core/system-error.ts';
import { syncFolder } from '../../files/sync-folder.ts';

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
/** How often a folder may be taken away by somebody who removes the last file in it, while a file comes in. */
const MOST_RACES = 10;

/** Makes folders below the root that are missing, with durable names. */
export async function ensureFolders(root: string, folder: string): Promise<void> {
  if (folder === root) {
    return;
  }
  try {
    await mkdir(folder, { mode: FOLDER_MODE });
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) {
      return;
    }
    if (!hasErrorCode(error, 'ENOENT')) {
      throw error;
    }
    await ensureFolders(root, dirname(folder));
    await mkdir(folder, { mode: FOLDER_MODE }).catch((second: unknown) => {
      if (!hasErrorCode(second, 'EEXIST')) {
        throw second;
      }
    });
  }
  await syncFolder(dirname(folder));
}

/** Opens a file below the root, its folders made where they are missing. */
export async function openBelow(
  root: string,
  path: string,
  flags: string | number,
): Promise<FileHandle> {
  return withFolders(root, path, async () => open(path, flags, FILE_MODE));
}

/** Renames a file to a place below the root, its folders made where they are missing; durable. */
export async function renameBelow(root: string, from: string, to: string): Promise<void> {
  await withFolders(root, to, async () => rename(from, to));
  await syncFolder(dirname(to));
}

/** Does what needs the folder of this path, also where somebody removes it as empty at the same time. */
export async function withFolders<T>(
  root: string,
  path: string,
  work: () => Promise<T>,
): Promise<T> {
  for (let races = 0; ; races += 1) {
    try {
      await ensureFolders(root, dirname(path));
      return await work();
    } catch (error) {
      if (!hasErrorCode(error, 'ENOENT') || races === MOST_RACES) {
        throw error;
      }
    }
  }
}

/** Removes a file, and the folders below the root that are empty then; durable. One that is not there is fine. */
export async function removeBelow(root: string, path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT', 'ENOTDIR')) {
      throw error;
    }
  }
  for (let folder = dirname(path); folder !== root; folder = dirname(folder)) {
    try {
      await rmdir(folder);
    } catch (error) {
      if (!hasErrorCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'EBUSY')) {
        throw error;
      }
      await syncFolder(folder).catch((second: unknown) => {
        if (!hasErrorCode(second, 'ENOENT')) {
          throw second;
        }
      });
      return;
    }
  }
  await syncFolder(root);
}

/** The parts of the place that are ours alone. */
export function ownFolder(root: string, ...names: readonly string[]): string {
  return join(root, '.backupd', ...names);
}
