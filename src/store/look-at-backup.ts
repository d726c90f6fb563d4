import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import { BackupdError } from '../core/errors.ts';
import { MANIFEST_FILE, RECEIPTS_FOLDER, STATE_FOLDER, type BackupId } from '../core/layout.ts';
import { parseManifest, summariseManifest, type Manifest } from '../core/manifest.ts';
import { hasErrorCode } from '../core/system-error.ts';
import { readNames } from './folder.ts';
import { readReceipts, receiptsFolder } from './receipts.ts';
import { onStorage, storageError } from './storage-error.ts';
import type { Storage } from './storage.ts';

/** A folder that changed so recently may change again without its time telling: clocks of file systems are coarse. */
const SETTLED_MS = 3000;

/** What is remembered of a backup. */
export interface Remembered {
  readonly entry: CatalogEntry;
  readonly folder: Stamp;
  /** Null where it has no receipts. */
  readonly receipts: Stamp | null;
  /** Receipts that are none. */
  readonly damaged: readonly string[];
}

/** When a folder was last changed, and whether that alone tells that it is still the same. */
export interface Stamp {
  readonly changedAtMs: number;
  readonly settled: boolean;
}

interface BackupPlace {
  readonly source: string;
  readonly id: BackupId;
}

/** Reads anew what was changed since it was looked at last; null where it was removed while we looked. */
export async function lookAtBackup(
  storage: Pick<Storage, 'dir' | 'namespace'>,
  place: BackupPlace,
  known: Remembered | undefined,
): Promise<Remembered | Error | null> {
  const path = join(storage.dir, place.source, place.id);
  try {
    const folder = await readStamp(path);
    const same = known !== undefined && isSame(known.folder, folder) ? known : null;
    return same === null
      ? await readBackup(storage, place, folder)
      : await readNewReceipts(path, same);
  } catch (error) {
    return isGone(error) ? null : storageError(error, path);
  }
}

async function readBackup(
  storage: Pick<Storage, 'dir' | 'namespace'>,
  place: BackupPlace,
  folder: Stamp,
): Promise<Remembered> {
  const path = join(storage.dir, place.source, place.id);
  const manifest = summariseManifest(await readManifest(storage, place));
  if (!(await readNames(path)).includes(RECEIPTS_FOLDER)) {
    return { entry: { manifest, receipts: [] }, folder, receipts: null, damaged: [] };
  }
  const receipts = await readStamp(receiptsFolder(path));
  const read = await readReceipts(path);
  const entry = { manifest, receipts: read.receipts };
  return { entry, folder, receipts, damaged: read.damaged };
}

/** The first receipt of a backup changes the backup's own folder, later ones only their own. */
async function readNewReceipts(path: string, known: Remembered): Promise<Remembered> {
  if (known.receipts === null) {
    return known;
  }
  const receipts = await readStamp(receiptsFolder(path));
  if (isSame(known.receipts, receipts)) {
    return known;
  }
  const read = await readReceipts(path);
  const entry = { ...known.entry, receipts: read.receipts };
  return { ...known, entry, receipts, damaged: read.damaged };
}

/** A folder without a manifest is damage; a folder that is gone was removed while we looked. */
function isGone(error: unknown): boolean {
  return (
    hasErrorCode(error, 'ENOENT') ||
    (error instanceof BackupdError && error.code === 'backup-not-found')
  );
}

/**
 * The whole manifest of a backup, seen to be that of its place.
 * @throws BackupdError `backup-not-found`, `archive-corrupt`, `format-unsupported`, `config-invalid` for one of another
 * namespace, `storage-unavailable`
 */
export async function readManifest(
  { dir, namespace }: Pick<Storage, 'dir' | 'namespace'>,
  { source, id }: BackupPlace,
): Promise<Manifest> {
  const folder = join(dir, source, id);
  const path = join(folder, MANIFEST_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT')) {
      throw storageError(error, path);
    }
    await onStorage(folder, () => stat(folder)).catch((gone: unknown) => {
      throw new BackupdError('backup-not-found', `"${source}" has no backup ${id}`, {
        hint: 'Run "backupd list" to see the backups there are.',
        cause: gone,
      });
    });
    throw new BackupdError('archive-corrupt', `${folder} has no ${MANIFEST_FILE}`, {
      hint: 'It is no backup without. Look at what removed it; backupd neither uses nor removes this folder.',
      cause: error,
    });
  }
  const manifest = parseManifest(text, folder);
  if (manifest.id !== id || manifest.source !== source) {
    throw new BackupdError(
      'archive-corrupt',
      `${folder} holds the manifest of ${manifest.source}/${manifest.id}`,
      { hint: 'A backup was copied or renamed: move it back to the place its manifest names.' },
    );
  }
  if (manifest.namespace !== namespace) {
    throw new BackupdError(
      'config-invalid',
      `${folder} belongs to the namespace "${manifest.namespace}", not to "${namespace}"`,
      {
        hint: `Where all of ${dir} should be "${manifest.namespace}", move the folders of backups of "${namespace}" away, remove ${join(dir, STATE_FOLDER, 'namespace')} and restart backupd. Where only this one is foreign, move it to a directory of its own.`,
      },
    );
  }
  return manifest;
}

async function readStamp(path: string): Promise<Stamp> {
  return toStamp(await stat(path));
}

export function toStamp({ mtimeMs }: Pick<Stats, 'mtimeMs'>): Stamp {
  return { changedAtMs: mtimeMs, settled: Math.abs(Date.now() - mtimeMs) > SETTLED_MS };
}

/** Whether nothing in a folder came or went between two looks. */
export function isSame(before: Stamp, now: Stamp): boolean {
  return before.settled && before.changedAtMs === now.changedAtMs;
}
