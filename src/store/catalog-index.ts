import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupdError } from '../core/errors.ts';
import { isBackupId, MANIFEST_FILE, RECEIPTS_FOLDER, type BackupId } from '../core/layout.ts';
import { parseManifest, summariseManifest, type Manifest } from '../core/manifest.ts';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import { hasErrorCode } from '../core/system-error.ts';
import { isLink, readNames } from './folder.ts';
import { readReceipts, receiptsFolder } from './receipts.ts';
import { onStorage, storageError } from './storage-error.ts';
import type { Storage } from './storage.ts';

/** A folder named as a backup that is none: damaged, of a newer format, or of somebody else. */
interface UnreadableBackup {
  readonly id: BackupId;
  readonly error: Error;
}

/** What a folder of a source holds. */
interface Listing {
  /** Newest first. */
  readonly entries: readonly CatalogEntry[];
  readonly unreadable: readonly UnreadableBackup[];
}

/** Reads each manifest once: they never change. */
export interface CatalogIndex {
  list(source: string): Promise<Listing>;
  /** Reads this backup anew next time. */
  invalidate(source: string, id: BackupId): void;
}

/** How many backups are looked at side by side. */
const WIDTH = 32;
/** A folder that changed so recently may change again without its time telling: clocks of file systems are coarse. */
const SETTLED_MS = 3000;

/** Makes an index that remembers, for as long as its process lives. */
export function catalogIndex(storage: Pick<Storage, 'dir' | 'namespace'>): CatalogIndex {
  const remembered = new Map<string, Map<BackupId, Remembered>>();
  return {
    async list(source) {
      const folder = join(storage.dir, source);
      const ids = await onStorage(folder, async () =>
        (await isLink(folder)) ? [] : (await readNames(folder)).filter(isBackupId),
      );
      const known = remembered.get(source) ?? new Map<BackupId, Remembered>();
      const next = new Map<BackupId, Remembered>();
      const unreadable: UnreadableBackup[] = [];

      async function look(id: BackupId): Promise<void> {
        const found = await lookAtBackup(storage, { source, id }, known.get(id));
        if (found instanceof Error) {
          unreadable.push({ id, error: found });
        } else if (found !== null) {
          next.set(id, found);
        }
      }

      for (let index = 0; index < ids.length; index += WIDTH) {
        await Promise.all(ids.slice(index, index + WIDTH).map(look));
      }
      remembered.set(source, next);
      const newestFirst = [...next.keys()].toSorted().toReversed();
      return {
        entries: newestFirst.flatMap((id) => next.get(id)?.entry ?? []),
        unreadable: unreadable.toSorted((one, other) => (one.id < other.id ? 1 : -1)),
      };
    },
    invalidate(source, id) {
      remembered.get(source)?.delete(id);
    },
  };
}

interface Remembered {
  readonly entry: CatalogEntry;
  readonly folder: Stamp;
  /** Null where it has no receipts. */
  readonly receipts: Stamp | null;
}

/** When a folder was last changed, and whether that alone tells that it is still the same. */
interface Stamp {
  readonly changedAtMs: number;
  readonly settled: boolean;
}

interface BackupPlace {
  readonly source: string;
  readonly id: BackupId;
}

/** Null where it was removed while we looked. */
async function lookAtBackup(
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
    return { entry: { manifest, receipts: [] }, folder, receipts: null };
  }
  const receipts = await readStamp(receiptsFolder(path));
  const read = await readReceipts(path);
  return { entry: { manifest, receipts: read.receipts }, folder, receipts };
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
  return { ...known, entry: { ...known.entry, receipts: read.receipts }, receipts };
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
      { hint: 'Move it to a directory of its own, and use that one with its namespace.' },
    );
  }
  return manifest;
}

async function readStamp(path: string): Promise<Stamp> {
  const { mtimeMs } = await stat(path);
  return { changedAtMs: mtimeMs, settled: Math.abs(Date.now() - mtimeMs) > SETTLED_MS };
}

function isSame(before: Stamp, now: Stamp): boolean {
  return before.settled && before.changedAtMs === now.changedAtMs;
}
