import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { MANIFEST_FILE, RECEIPTS_FOLDER, STATE_FOLDER, type BackupId } from '../core/layout.ts';
import type { Manifest } from '../core/manifest.ts';
import type { Receipt } from '../core/catalog-entry.ts';
import { reach } from '../core/steps.ts';
import { syncFolder } from '../files/sync-folder.ts';
import { ensureFolder, FOLDER_MODE, readJson, writeJson } from './atomic-file.ts';
import { checkFiles, commitFolder, exists } from './draft.ts';
import { isLink, readFolderNames, readNames } from './folder.ts';
import { onStorage } from './storage-error.ts';

/**
 * A backup that is being fetched. Unlike a draft it outlives the process, so that what has come need not come again; one
 * that nobody goes on with is removed after two days.
 */
export interface Download {
  /** Where a file of the backup is written to. */
  path(fileName: string): string;
  /** Where it is written down how far a file has come. */
  recordPath(fileName: string): string;
  /** How much of the disk it takes already. @throws BackupdError `storage-unavailable` */
  storedBytes(): Promise<number>;
  /**
   * Makes what was fetched the backup here, or puts it in the place of what is damaged of the one that is there; durable
   * when it resolves. What is there after a crash at any moment is no worse than before. The caller holds the lock of the
   * source. @throws BackupdError `no-space`, `storage-unavailable`
   */
  commit(manifest: Manifest, more: Arrived): Promise<void>;
}

/** What came beside the manifest. */
export interface Arrived {
  /** Names of the files that were fetched. */
  readonly files: readonly string[];
  readonly receipts: readonly { readonly file: string; readonly receipt: Receipt }[];
}

const FOLDER = 'downloads';
const ABANDONED_MS = 2 * 86_400_000;

/** Begins to fetch a backup, or goes on with it. The caller holds the lock of the source. @throws BackupdError */
export async function openDownload(dir: string, source: string, id: BackupId): Promise<Download> {
  const folder = join(dir, STATE_FOLDER, FOLDER, source, id);
  const [files, records] = [join(folder, 'files'), join(folder, 'records')];
  await onStorage(folder, async () => {
    await mkdir(files, { recursive: true, mode: FOLDER_MODE });
    await mkdir(records, { recursive: true, mode: FOLDER_MODE });
  });
  return {
    path: (fileName) => join(files, fileName),
    recordPath: (fileName) => join(records, fileName),
    storedBytes: () => onStorage(files, () => sumBytes(files)),
    commit: (manifest, arrived) =>
      onStorage(folder, async () => {
        const final = join(dir, source, id);
        await ensureFolder(dirname(final));
        await ((await exists(final))
          ? mend({ files, final }, manifest, arrived)
          : make({ files, final }, manifest, arrived));
        reach('download-committed');
        await rm(folder, { recursive: true, force: true });
      }),
  };
}

interface Places {
  readonly files: string;
  readonly final: string;
}

async function make(
  { files, final }: Places,
  manifest: Manifest,
  { receipts }: Arrived,
): Promise<void> {
  if (receipts.length > 0) {
    const folder = join(files, RECEIPTS_FOLDER);
    await ensureFolder(folder);
    for (const { file, receipt } of receipts) {
      await writeJson(join(folder, file), receipt);
    }
  }
  await commitFolder(files, final, manifest);
}

/** File by file: each is whole before and after. The manifest comes last, where that was what was damaged. */
async function mend({ files, final }: Places, manifest: Manifest, arrived: Arrived): Promise<void> {
  for (const file of arrived.files) {
    await rename(join(files, file), join(final, file));
  }
  await syncFolder(final);
  await checkFiles(final, manifest);
  const path = join(final, MANIFEST_FILE);
  const there = await readJson(path);
  if (there.state !== 'present' || !isDeepStrictEqual(there.value, manifest)) {
    await writeJson(path, manifest);
  }
}

async function sumBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readNames(folder)) {
    const { blocks } = await stat(join(folder, name));
    bytes += blocks * 512;
  }
  return bytes;
}

/**
 * Removes what was fetched of backups of a source and gone on with by nobody for two days. The caller holds the lock of
 * the source. @returns their ids
 */
export async function sweepDownloads(dir: string, source: string): Promise<readonly string[]> {
  const parent = join(dir, STATE_FOLDER, FOLDER, source);
  return onStorage(parent, async () => {
    const swept: string[] = [];
    for (const id of (await isLink(parent)) ? [] : await readFolderNames(parent)) {
      const folder = join(parent, id);
      if (Date.now() - (await lastChange(join(folder, 'records'))) > ABANDONED_MS) {
        await rm(folder, { recursive: true, force: true });
        swept.push(id);
      }
    }
    return swept;
  });
}

/** When something came last, in milliseconds; 0 where nothing ever did. */
async function lastChange(records: string): Promise<number> {
  let latest = 0;
  for (const name of await readNames(records)) {
    latest = Math.max(latest, (await stat(join(records, name))).mtimeMs);
  }
  return latest;
}
