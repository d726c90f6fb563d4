import type { Dirent, Stats } from 'node:fs';
import { lstat, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupdError } from '../core/errors.ts';
import { isBackupId, MANIFEST_FILE, RECEIPTS_FOLDER, type BackupId } from '../core/layout.ts';
import { parseManifest, summariseManifest, type Manifest } from '../core/manifest.ts';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import { hasErrorCode } from '../core/system-error.ts';
import { readEntries, readNames } from './folder.ts';
import { readReceipts, receiptsFolder } from './receipts.ts';
import { onStorage, storageError } from './storage-error.ts';
import type { Storage } from './storage.ts';

/** A folder named as a backup that is none: damaged, of a newer format, or of somebody else. */
interface UnreadableBackup {
  readonly id: BackupId;
  readonly error: Error;
}

/** What a folder of a source holds. */
export interface Listing {
  /** All that is in it; the very list of before where nothing in it was changed since. */
  readonly content: readonly Dirent[];
  /** Newest first. */
  readonly entries: readonly CatalogEntry[];
  readonly unreadable: readonly UnreadableBackup[];
  /** Names of files among the receipts that are none, of those backups that have some. */
  readonly damagedReceipts: ReadonlyMap<BackupId, readonly string[]>;
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
  const remembered = new Map<string, RememberedSource>();
  return {
    async list(source) {
      const known = remembered.get(source) ?? NOTHING;
      const { folder, content, ids } = await readFolder(join(storage.dir, source), known);
      const isSameFolder = content === known.content;
      const backups = new Map<BackupId, Remembered>();
      const unreadable: UnreadableBackup[] = [];

      async function look(id: BackupId, index: number): Promise<void> {
        const before = known.backups.get(id);
        if (before !== undefined && isSameFolder && !isDue(index, ids.length, known.turn)) {
          backups.set(id, before);
          return;
        }
        const found = await lookAtBackup(storage, { source, id }, before);
        if (found instanceof Error) {
          unreadable.push({ id, error: found });
        } else if (found !== null) {
          backups.set(id, found);
        }
      }

      await forEachOf(ids, look);
      remembered.set(source, { folder, content, ids, backups, turn: known.turn + 1 });
      return {
        content,
        entries: ids.flatMap((id) => backups.get(id)?.entry ?? []),
        unreadable: unreadable.toSorted((one, other) => (one.id < other.id ? 1 : -1)),
        damagedReceipts: new Map(
          [...backups]
            .filter(([, { damaged }]) => damaged.length > 0)
            .map(([id, { damaged }]) => [id, damaged]),
        ),
      };
    },
    invalidate(source, id) {
      remembered.get(source)?.backups.delete(id);
    },
  };
}

/** Does something with each of them, some side by side. */
export async function forEachOf<T>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  for (let start = 0; start < items.length; start += WIDTH) {
    const some = items.slice(start, start + WIDTH);
    await Promise.all(some.map((item, offset) => work(item, start + offset)));
  }
}

/** Of a source none of whose backups came, went or got a receipt: so many of the newest are looked at all the same. */
const NEWEST = 4;
/** And so many others, one after the other. */
const IN_TURN = 12;

/**
 * Whether something is looked at again this time, of so many, newest first. What backupd changes shows in the folder of the
 * source; what somebody does by hand inside of a backup is found within some turns. To look at ten thousand each
 * time takes longer than a scrape may.
 */
export function isDue(index: number, count: number, turn: number): boolean {
  const first = (turn * IN_TURN) % count;
  return index < NEWEST || (index - first + count) % count < IN_TURN;
}

interface RememberedSource {
  /** Null where it was not there, or is a link. */
  readonly folder: Stamp | null;
  readonly content: readonly Dirent[];
  /** Newest first. */
  readonly ids: readonly BackupId[];
  readonly backups: Map<BackupId, Remembered>;
  /** How often it was looked at. */
  readonly turn: number;
}

const NOTHING: RememberedSource = {
  folder: null,
  content: [],
  ids: [],
  backups: new Map(),
  turn: 0,
};

/** What is in the folder of a source, and what of it is named as a backup. */
async function readFolder(
  path: string,
  known: RememberedSource,
): Promise<Pick<RememberedSource, 'folder' | 'content' | 'ids'>> {
  return onStorage(path, async () => {
    const folder = await readFolderStamp(path);
    if (folder === null) {
      return { folder, content: [], ids: [] };
    }
    if (known.folder !== null && isSame(known.folder, folder)) {
      return { folder, content: known.content, ids: known.ids };
    }
    const content = await readEntries(path);
    const ids = content.map(({ name }) => name).filter(isBackupId);
    return { folder, content, ids: ids.toSorted().toReversed() };
  });
}

async function readFolderStamp(path: string): Promise<Stamp | null> {
  try {
    const stats = await lstat(path);
    return stats.isSymbolicLink() ? null : toStamp(stats);
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) {
      return null;
    }
    throw error;
  }
}

interface Remembered {
  readonly entry: CatalogEntry;
  readonly folder: Stamp;
  /** Null where it has no receipts. */
  readonly receipts: Stamp | null;
  /** Receipts that are none. */
  readonly damaged: readonly string[];
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
      { hint: 'Move it to a directory of its own, and use that one with its namespace.' },
    );
  }
  return manifest;
}

async function readStamp(path: string): Promise<Stamp> {
  return toStamp(await stat(path));
}

function toStamp({ mtimeMs }: Pick<Stats, 'mtimeMs'>): Stamp {
  return { changedAtMs: mtimeMs, settled: Math.abs(Date.now() - mtimeMs) > SETTLED_MS };
}

function isSame(before: Stamp, now: Stamp): boolean {
  return before.settled && before.changedAtMs === now.changedAtMs;
}
