import type { Dirent } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import { isBackupId, type BackupId } from '../core/layout.ts';
import { hasErrorCode } from '../core/system-error.ts';
import { readEntries } from './folder.ts';
import { readCatalogCache, writeCatalogCache, type CachedSource } from './catalog-cache.ts';
import { isSame, lookAtBackup, toStamp, type Remembered, type Stamp } from './look-at-backup.ts';
import { onStorage } from './storage-error.ts';
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

/** A source of which nothing changed is not looked at again within this time: one status asks for it several times. */
const SAME_LOOK_MS = 1000;

/** Makes an index that remembers, for as long as its process lives. */
export function catalogIndex(storage: Pick<Storage, 'dir' | 'namespace'>): CatalogIndex {
  const remembered = new Map<string, RememberedSource>();
  return {
    async list(source) {
      const known = remembered.get(source) ?? NOTHING;
      const seen = await readFolder(join(storage.dir, source), known);
      const lookedAtMs = performance.now();
      if (seen.content === known.content && lookedAtMs - known.lookedAtMs < SAME_LOOK_MS) {
        return known.listing;
      }
      const cached = known === NOTHING ? await readCatalogCache(storage, source, seen.ids) : NONE;
      const { backups, listing } = await lookAtSource(storage, source, {
        known,
        seen,
        cached: cached.backups,
      });
      const rows = await keep(storage, source, { known, cached, backups });
      remembered.set(source, {
        ...seen,
        backups,
        listing,
        lookedAtMs,
        turn: known.turn + 1,
        rows,
      });
      return listing;
    },
    invalidate(source, id) {
      const known = remembered.get(source);
      if (known !== undefined) {
        known.backups.delete(id);
        remembered.set(source, { ...known, lookedAtMs: -Infinity });
      }
    },
  };
}

async function lookAtSource(
  storage: Pick<Storage, 'dir' | 'namespace'>,
  source: string,
  {
    known,
    seen: { content, ids },
    cached,
  }: {
    readonly known: RememberedSource;
    readonly seen: SeenFolder;
    /** Seen to be as they were a moment ago. */
    readonly cached: ReadonlyMap<BackupId, Remembered>;
  },
): Promise<Pick<RememberedSource, 'backups' | 'listing'>> {
  const isSameFolder = content === known.content;
  const backups = new Map<BackupId, Remembered>();
  const unreadable: UnreadableBackup[] = [];
  const changed: BackupId[] = [];
  for (const [index, id] of ids.entries()) {
    const before = known.backups.get(id);
    const isFresh = before !== undefined && isSameFolder && !isDue(index, ids.length, known.turn);
    const fresh = isFresh ? before : cached.get(id);
    if (fresh === undefined) {
      changed.push(id);
    } else {
      backups.set(id, fresh);
    }
  }
  await forEachOf(changed, async (id) => {
    const found = await lookAtBackup(storage, { source, id }, known.backups.get(id));
    if (found instanceof Error) {
      unreadable.push({ id, error: found });
    } else if (found !== null) {
      backups.set(id, found);
    }
  });
  const listing = {
    content,
    entries: ids.flatMap((id) => backups.get(id)?.entry ?? []),
    unreadable: unreadable.toSorted((one, other) => (one.id < other.id ? 1 : -1)),
    damagedReceipts: new Map(
      [...backups]
        .filter(([, { damaged }]) => damaged.length > 0)
        .map(([id, { damaged }]) => [id, damaged]),
    ),
  };
  return { backups, listing };
}

/** Leaves to processes to come what was read by this one. @returns how many rows there are now */
async function keep(
  storage: Pick<Storage, 'dir' | 'namespace'>,
  source: string,
  {
    known,
    cached,
    backups,
  }: {
    readonly known: RememberedSource;
    readonly cached: CachedSource;
    readonly backups: ReadonlyMap<BackupId, Remembered>;
  },
): Promise<number> {
  const rows = Math.max(known.rows, cached.rows);
  const read = new Map(
    [...backups].filter(
      ([id, one]) => known.backups.get(id) !== one && cached.backups.get(id) !== one,
    ),
  );
  if (read.size > 0) {
    await writeCatalogCache(storage, source, { rows, read, all: backups });
  }
  return rows + read.size;
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

/** What is in the folder of a source. */
interface SeenFolder {
  /** Null where it was not there, or is a link. */
  readonly folder: Stamp | null;
  readonly content: readonly Dirent[];
  /** Newest first. */
  readonly ids: readonly BackupId[];
}

interface RememberedSource extends SeenFolder {
  readonly backups: Map<BackupId, Remembered>;
  readonly listing: Listing;
  readonly lookedAtMs: number;
  /** How often it was looked at. */
  readonly turn: number;
  /** How many rows the cache has of it, about. */
  readonly rows: number;
}

const NOTHING: RememberedSource = {
  folder: null,
  content: [],
  ids: [],
  backups: new Map(),
  listing: { content: [], entries: [], unreadable: [], damagedReceipts: new Map() },
  lookedAtMs: -Infinity,
  turn: 0,
  rows: 0,
};

/** Nothing that other processes read. */
const NONE: CachedSource = { backups: new Map(), rows: 0 };

/** The very lists of before where nothing in the folder was changed since. */
async function readFolder(path: string, known: RememberedSource): Promise<SeenFolder> {
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
