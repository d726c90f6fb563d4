import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hasErrorCode } from '../core/system-error.ts';
import { syncFolder } from '../files/sync-folder.ts';
import { onStorage } from './storage-error.ts';

export const FILE_MODE = 0o600;
export const FOLDER_MODE = 0o700;

/** What a JSON file holds; a damaged one is told apart from one that is not there. */
export type StoredJson =
  | { readonly state: 'absent' }
  | { readonly state: 'damaged'; readonly message: string }
  | { readonly state: 'present'; readonly value: unknown };

/**
 * Writes a file of mode 0600 so that after a crash at any moment it holds either what it held before or all of this:
 * temporary name, fsync, rename, fsync of the folder. The folder must be there.
 * @throws BackupdError `no-space`, `storage-unavailable`
 */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  await onStorage(path, async () => {
    try {
      await createFile(temporary, text);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncFolder(folder);
  });
}

/** Writes JSON as {@link writeFileAtomically} does. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Creates a file of mode 0600 that must not be there yet and makes its content durable. Its name is durable only after
 * its folder was synced. Errors are those of the file system: `EEXIST` says that somebody else was first.
 */
export async function createFile(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', FILE_MODE);
  await setMode(file);
  await file.writeFile(text);
  await file.sync();
}

/**
 * Makes sure that a folder is there; one that was missing gets mode 0700 whatever the umask, and a durable name.
 * Its parent must be there. Errors are those of the file system.
 * @returns whether it was missing
 */
export async function ensureFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: FOLDER_MODE });
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) {
      return false;
    }
    throw error;
  }
  await tolerateNoModes(() => chmod(path, FOLDER_MODE));
  await syncFolder(dirname(path));
  return true;
}

/**
 * Reads a JSON file.
 * @throws BackupdError `storage-unavailable` where it is there and cannot be read
 */
export async function readJson(path: string): Promise<StoredJson> {
  const text = await readText(path);
  if (text === null) {
    return { state: 'absent' };
  }
  try {
    return { state: 'present', value: JSON.parse(text) as unknown };
  } catch (error) {
    return { state: 'damaged', message: error instanceof Error ? error.message : 'no JSON' };
  }
}

/** The text of a file, or null where there is none. @throws BackupdError `storage-unavailable` */
export async function readText(path: string): Promise<string | null> {
  return onStorage(path, async () => {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) {
        return null;
      }
      throw error;
    }
  });
}

/** Removes a file and makes that durable; one that is not there is fine. @throws BackupdError `storage-unavailable` */
export async function removeFile(path: string): Promise<void> {
  await onStorage(path, async () => {
    try {
      await rm(path);
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) {
        return;
      }
      throw error;
    }
    await syncFolder(dirname(path));
  });
}

/** Gives a file that we have just made its mode: the umask takes bits away from the one that `open` was told. */
export async function setMode(file: FileHandle): Promise<void> {
  await tolerateNoModes(() => file.chmod(FILE_MODE));
}

async function tolerateNoModes(change: () => Promise<void>): Promise<void> {
  try {
    await change();
  } catch (error) {
    // What we have just made is ours: where its mode cannot be set the file system (FAT, SMB) has none.
    if (!hasErrorCode(error, 'EPERM', 'ENOTSUP', 'ENOSYS')) {
      throw error;
    }
  }
}
