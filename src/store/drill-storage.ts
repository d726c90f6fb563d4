import { link, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isSourceName, STATE_FOLDER } from '../core/layout.ts';
import type { Manifest } from '../core/manifest.ts';
import { hasErrorCode } from '../core/system-error.ts';
import { ensureFolder } from './atomic-file.ts';
import { readFolderNames } from './folder.ts';
import { onStorage } from './storage-error.ts';
import type { Storage } from './storage.ts';

const FOLDER = 'drilling';

/** File systems that have no hard links, or no more of them; and a file that is gone, of which reading will tell. */
const NOT_LINKED = [
  'EPERM',
  'EACCES',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EXDEV',
  'EMLINK',
  'ENOENT',
];

/** A directory of its own for what a drill reads, so that it is no backup here; gone when it is disposed. */
export interface DrillStorage extends AsyncDisposable {
  readonly storage: Storage;
  /**
   * Gives the files of a backup here a second name in this directory, so that they stay while retention removes it.
   * @returns false where that cannot be
   * @throws BackupdError `storage-unavailable`
   */
  hold(backup: Manifest): Promise<boolean>;
}

/**
 * Made empty. The caller holds the lock of the source's drills.
 * @param lost aborts where that lock is lost: then it is left to whoever has it now
 * @throws BackupdError
 */
export async function openDrillStorage(
  storage: Storage,
  source: string,
  lost: AbortSignal,
): Promise<DrillStorage> {
  await removeDrillStorage(storage.dir, source);
  const parent = join(storage.dir, STATE_FOLDER, FOLDER);
  const dir = join(parent, source);
  await onStorage(dir, async () => {
    await ensureFolder(parent);
    await ensureFolder(dir);
    await ensureFolder(join(dir, STATE_FOLDER));
  });
  return {
    storage: { ...storage, dir },
    hold: (backup) => onStorage(dir, () => hold(backup, storage.dir, dir)),
    async [Symbol.asyncDispose]() {
      if (!lost.aborted) {
        await removeDrillStorage(storage.dir, source);
      }
    },
  };
}

async function hold({ id, source, files }: Manifest, from: string, to: string): Promise<boolean> {
  const folder = join(to, source, id);
  await ensureFolder(join(to, source));
  await ensureFolder(folder);
  try {
    for (const { name } of files) {
      await link(join(from, source, id, name), join(folder, name));
    }
    return true;
  } catch (error) {
    if (hasErrorCode(error, ...NOT_LINKED)) {
      return false;
    }
    throw error;
  }
}

/** Removes what a drill read; nothing there is fine. @throws BackupdError `storage-unavailable` */
export async function removeDrillStorage(dir: string, source: string): Promise<void> {
  const path = join(dir, STATE_FOLDER, FOLDER, source);
  await onStorage(path, () => rm(path, { recursive: true, force: true }));
}

/** Sources of which a drill left something there. */
export async function listDrillStorages(dir: string): Promise<readonly string[]> {
  const parent = join(dir, STATE_FOLDER, FOLDER);
  return (await onStorage(parent, () => readFolderNames(parent))).filter(isSourceName);
}
