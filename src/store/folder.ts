import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { hasErrorCode } from '../core/system-error.ts';

/** What is in a folder; nothing where it is not there. Other errors are those of the file system. */
export async function readEntries(folder: string): Promise<readonly Dirent[]> {
  return orNothing(readdir(folder, { withFileTypes: true }));
}

/** What is in a folder and beneath it, as {@link readEntries}. */
export async function readTree(folder: string): Promise<readonly Dirent[]> {
  return orNothing(readdir(folder, { withFileTypes: true, recursive: true }));
}

/** Whether a path is a link to another place: what reads the directory follows none, so what writes must not either. */
export async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) {
      return false;
    }
    throw error;
  }
}

/** The names in a folder, as {@link readEntries}. */
export async function readNames(folder: string): Promise<readonly string[]> {
  return orNothing(readdir(folder));
}

/** The names of the folders in a folder, as {@link readEntries}. */
export async function readFolderNames(folder: string): Promise<readonly string[]> {
  const entries = await readEntries(folder);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

async function orNothing<T>(reading: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await reading;
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) {
      return [];
    }
    throw error;
  }
}
