import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isSourceName, STATE_FOLDER } from '../core/layout.ts';
import { ensureFolder } from './atomic-file.ts';
import { readFolderNames } from './folder.ts';
import { onStorage } from './storage-error.ts';
import type { Storage } from './storage.ts';

const FOLDER = 'drilling';

/** A directory of its own for what a drill fetches, so that it is no backup here; gone when it is disposed. */
export interface DrillStorage extends AsyncDisposable {
  readonly storage: Storage;
}

/** Made empty. The caller holds the lock of the source's drills. @throws BackupdError */
export async function openDrillStorage(storage: Storage, source: string): Promise<DrillStorage> {
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
    [Symbol.asyncDispose]: async () => removeDrillStorage(storage.dir, source),
  };
}

/** Removes what a drill fetched; nothing there is fine. @throws BackupdError `storage-unavailable` */
export async function removeDrillStorage(dir: string, source: string): Promise<void> {
  const path = join(dir, STATE_FOLDER, FOLDER, source);
  await onStorage(path, () => rm(path, { recursive: true, force: true }));
}

/** Sources of which a drill fetched something that is still there. */
export async function listDrillStorages(dir: string): Promise<readonly string[]> {
  const parent = join(dir, STATE_FOLDER, FOLDER);
  return (await onStorage(parent, () => readFolderNames(parent))).filter(isSourceName);
}
