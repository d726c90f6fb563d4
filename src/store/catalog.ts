import { join } from 'node:path';
import { BackupdError, toFailure } from '../core/errors.ts';
import { isBackupId, isSourceName, resolveId, type BackupId } from '../core/layout.ts';
import type { Manifest } from '../core/manifest.ts';
import type { CatalogEntry, Receipt } from '../core/catalog-entry.ts';
import { catalogIndex } from './catalog-index.ts';
import { findWrongFile, problemFinder, type CatalogProblem } from './catalog-problems.ts';
import { openDownload, sweepDownloads, type Download } from './download.ts';
import { openDraft, type Draft } from './draft.ts';
import { readFolderNames, readNames } from './folder.ts';
import { readManifest } from './look-at-backup.ts';
import { readReceiptFiles, writeReceipt } from './receipts.ts';
import { removeBackup, sweepSource } from './removal.ts';
import { sourcesWith } from './state-file.ts';
import { onStorage } from './storage-error.ts';
import type { Storage } from './storage.ts';

export type { Draft } from './draft.ts';

/** What names a backup. */
type BackupRef = Pick<Manifest, 'source' | 'id'>;

/**
 * The backups in the directory. A backup exists when its manifest exists; manifests never change, so each is read once.
 * What changes a source's folder is called under the lock of that source, receipts excepted.
 */
export interface Catalog {
  /**
   * Names of the folders that hold backups, whatever their state, sorted. One that cannot be read is among them where it
   * is that of a source that is known: asking for its backups fails. It is a problem in any case.
   */
  sources(): Promise<readonly string[]>;
  /** The backups of a source, newest first. @throws BackupdError `storage-unavailable` */
  entries(source: string): Promise<readonly CatalogEntry[]>;
  /** Why backups of a source are not among its entries: their manifests are damaged, of a newer format or of somebody else. */
  unreadable(source: string): Promise<readonly Error[]>;
  /** The backups of all sources that can be read, source by source: what cannot be is a problem. */
  all(): Promise<readonly CatalogEntry[]>;
  /**
   * The backup whose id is, or begins with, what a user typed; `<source>/<id>` where one id is that of two sources.
   * @throws BackupdError `backup-not-found`, `usage` where it is ambiguous, and what is wrong with a damaged one
   */
  find(typed: string): Promise<CatalogEntry>;
  /** The whole manifest. @throws BackupdError `backup-not-found`, `archive-corrupt`, `format-unsupported` */
  manifest(source: string, id: BackupId): Promise<Manifest>;
  /**
   * What is wrong with a backup's files at a glance: one is missing, or has another size than recorded; null: nothing.
   * @throws BackupdError `storage-unavailable` where one cannot be looked at
   */
  wrongFile(entry: CatalogEntry): Promise<string | null>;
  /** Where a file of a backup is. */
  path(backup: BackupRef, fileName: string): string;
  /** Begins a backup. */
  draft(source: string, id: BackupId): Promise<Draft>;
  /** Begins to fetch a backup from elsewhere, or goes on with it. */
  download(source: string, id: BackupId): Promise<Download>;
  /** Writes down a fact about a backup; needs no lock. @throws BackupdError `backup-not-found` */
  addReceipt(
    backup: CatalogEntry | { readonly manifest: BackupRef },
    receipt: Receipt,
  ): Promise<void>;
  /** The receipts of a backup by the names of their files, in their order. */
  receiptFiles(backup: BackupRef): Promise<readonly (readonly [file: string, receipt: Receipt])[]>;
  /** Removes a backup; false where it stays, since somebody pinned it meanwhile. */
  remove(backup: BackupRef): Promise<boolean>;
  /** Removes drafts, half-done removals and abandoned downloads that earlier lives left; their names. */
  sweep(source: string): Promise<readonly string[]>;
  /** What is damaged or foreign in the directory: never used, counted or removed. */
  problems(): Promise<readonly CatalogProblem[]>;
}

/** Opens the catalog of a storage; reads nothing yet. */
export function openCatalog(storage: Pick<Storage, 'dir' | 'namespace'>): Catalog {
  const { dir } = storage;
  const index = catalogIndex(storage);

  async function entries(source: string): Promise<readonly CatalogEntry[]> {
    return (await index.list(source)).entries;
  }

  return {
    sources: () => findSources(dir),
    entries,
    unreadable: async (source) => (await index.list(source)).unreadable.map(({ error }) => error),
    async all() {
      const found: CatalogEntry[] = [];
      for (const source of await findSources(dir)) {
        found.push(...((await orUnavailable(() => entries(source))) ?? []));
      }
      return found;
    },
    async find(typed) {
      const places = await findPlaces(typed, await findSources(dir), index);
      return choosePlace(typed, places);
    },
    manifest: (source, id) => readManifest(storage, { source, id }),
    wrongFile: (entry) => {
      const folder = join(dir, entry.manifest.source, entry.manifest.id);
      return onStorage(folder, () => findWrongFile(folder, entry));
    },
    path: (backup, fileName) => join(dir, backup.source, backup.id, fileName),
    draft: (source, id) => openDraft(dir, source, id),
    download: (source, id) => openDownload(dir, source, id),
    async addReceipt({ manifest }, receipt) {
      await writeReceipt(join(dir, manifest.source, manifest.id), receipt);
      index.invalidate(manifest.source, manifest.id);
    },
    receiptFiles: ({ source, id }) => {
      const folder = join(dir, source, id);
      return onStorage(folder, () => readReceiptFiles(folder));
    },
    remove: (backup) => removeBackup(dir, backup),
    sweep: async (source) => [
      ...(await sweepSource(dir, source)),
      ...(await sweepDownloads(dir, source)),
    ],
    problems: problemFinder(dir, index),
  };
}

async function findSources(dir: string): Promise<readonly string[]> {
  return onStorage(dir, async () => {
    const sources: string[] = [];
    for (const folder of (await readFolderNames(dir)).filter(isSourceName).toSorted()) {
      const path = join(dir, folder);
      const names = await orUnavailable(() => onStorage(path, () => readNames(path)));
      const isOne = names?.some(isBackupId) ?? (await sourcesWith(dir, 'sources')).includes(folder);
      if (isOne) {
        sources.push(folder);
      }
    }
    return sources;
  });
}

/** Null where the file system refuses it. */
async function orUnavailable<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (toFailure(error).code === 'storage-unavailable') {
      return null;
    }
    throw error;
  }
}

/** A backup, or why one of that id cannot be used. */
interface Place {
  readonly source: string;
  readonly id: BackupId;
  readonly found: CatalogEntry | Error;
}

async function findPlaces(
  typed: string,
  sources: readonly string[],
  index: ReturnType<typeof catalogIndex>,
): Promise<readonly Place[]> {
  const slash = typed.indexOf('/');
  const wanted = slash === -1 ? sources : sources.filter((name) => name === typed.slice(0, slash));
  const places: Place[] = [];
  for (const source of wanted) {
    const { entries, unreadable } = await index.list(source);
    places.push(
      ...entries.map((entry) => ({ source, id: entry.manifest.id, found: entry })),
      ...unreadable.map(({ id, error }) => ({ source, id, found: error })),
    );
  }
  return places;
}

function choosePlace(typed: string, places: readonly Place[]): CatalogEntry {
  const id = resolveId(
    typed.slice(typed.indexOf('/') + 1),
    places.map((place) => place.id),
  );
  const [only, another] = places.filter((place) => place.id === id);
  if (only === undefined || another !== undefined) {
    throw new BackupdError(
      'usage',
      `${id} is a backup of "${only?.source}" and one of "${another?.source}"`,
      { hint: `Type it with its source: ${only?.source}/${id}.` },
    );
  }
  if (only.found instanceof Error) {
    throw only.found;
  }
  return only.found;
}
