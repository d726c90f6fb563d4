import { pacedFile } from '../archive/paced-file.ts';
import { checkStored } from '../archive/read-archive.ts';
import { BackupdError, toFailure } from '../core/errors.ts';
import type { ArchiveFile, Manifest } from '../core/manifest.ts';
import type { Download } from '../store/download.ts';
import { fetchFile } from '../store/download-file.ts';
import { versionsOf } from '../store/remote-catalog.ts';
import { readRemoteReceipts } from '../store/remote-receipts.ts';
import type { JobContext } from './context.ts';
import type { Copy } from './find-copy.ts';
import { progressPace } from './progress-pace.ts';
import type { VerifyApp } from './verify.ts';

/** What stays free beside what is fetched. */
const SPARE_BYTES = 32 * 1024 * 1024;

/**
 * Makes a copy a backup here, or mends the damaged one that is here from it: what is whole here by its SHA-256 is not
 * fetched. Goes on with what an earlier life fetched. The caller holds the lock of the source.
 * @throws BackupdError `no-space`, `archive-corrupt` where the copy is no better, what the destination throws
 */
export async function fetchBackup(
  copy: Copy,
  context: JobContext,
  signal: AbortSignal,
): Promise<void> {
  const damaged = await findDamaged(copy, { context }, signal);
  const [first] = damaged;
  const { source, id } = copy.manifest;
  const here = await context.catalog.entries(source);
  if (first !== undefined && here.some(({ manifest }) => manifest.id === id)) {
    await recordStored({ source, id }, first.message, context);
  }
  const files = damaged.map(({ file }) => file);
  await fetchFiles(copy, files, context, signal);
}

/**
 * Writes down that what is stored here is not what was written, also where the damage was found in the content: this is what a
 * copy can make good. @throws BackupdError `backup-not-found` where the backup was removed meanwhile
 */
export async function recordStored(
  backup: Pick<Manifest, 'source' | 'id'>,
  message: string,
  { catalog }: Pick<JobContext, 'catalog'>,
): Promise<void> {
  const at = new Date().toISOString();
  await catalog.addReceipt({ manifest: backup }, { type: 'damaged', at, depth: 'stored', message });
}

/** The same where it is known which files are not whole here. */
export async function fetchFiles(
  copy: Copy,
  missing: readonly ArchiveFile[],
  context: JobContext,
  signal: AbortSignal,
): Promise<void> {
  const { manifest, destination, entry } = copy;
  const { source, id } = manifest;
  const download = await context.catalog.download(source, id);
  await checkSpace(missing, download, context);
  const progress = progressOf(copy, missing, context);
  for (const file of missing) {
    await fetchFile(
      {
        destination,
        file,
        versions: versionsOf(entry, file),
        path: download.path(file.name),
        recordPath: download.recordPath(file.name),
      },
      (bytes) => {
        progress(file, bytes);
      },
      signal,
    );
  }
  const receipts = await readRemoteReceipts(destination, entry, signal);
  signal.throwIfAborted();
  await download.commit(manifest, { files: missing.map(({ name }) => name), receipts });
  // A damage that was found here before is mended.
  const at = new Date().toISOString();
  await context.catalog.addReceipt({ manifest }, { type: 'verified', at, depth: 'stored' });
  context.emit({
    type: 'fetched',
    source,
    id,
    destination: destination.name,
    bytes: sum(missing),
  });
}

export interface DamagedFile {
  readonly file: ArchiveFile;
  readonly message: string;
}

/** The files of a backup that are not whole here, with what is wrong. */
export async function findDamaged(
  { manifest }: Pick<Copy, 'manifest'>,
  { context: { catalog }, turn }: Pick<VerifyApp, 'context' | 'turn'>,
  signal: AbortSignal,
): Promise<readonly DamagedFile[]> {
  const damaged: DamagedFile[] = [];
  for (const file of manifest.files) {
    try {
      await checkStored(pacedFile(catalog.path(manifest, file.name), turn), file, signal);
    } catch (error) {
      const { code, message } = toFailure(error);
      if (code !== 'archive-corrupt') {
        throw error;
      }
      damaged.push({ file, message });
    }
  }
  return damaged;
}

async function checkSpace(
  files: readonly ArchiveFile[],
  download: Download,
  { storage }: JobContext,
): Promise<void> {
  const neededBytes = sum(files) - (await download.storedBytes()) + SPARE_BYTES;
  const { freeBytes } = await storage.space();
  if (freeBytes < neededBytes) {
    throw new BackupdError(
      'no-space',
      `${storage.dir} has ${freeBytes} bytes free, and ${neededBytes} are needed to fetch the backup`,
      { hint: 'Free space there, or mount a larger volume: what was fetched so far stays.' },
    );
  }
}

function sum(files: readonly ArchiveFile[]): number {
  return files.reduce((bytes, file) => bytes + file.storedBytes, 0);
}

function progressOf(
  { manifest, destination }: Copy,
  files: readonly ArchiveFile[],
  { emit }: JobContext,
): (file: ArchiveFile, doneBytes: number) => void {
  const totalBytes = sum(files);
  const done = new Map<string, number>();
  const isDue = progressPace();
  return (file, doneBytes) => {
    done.set(file.name, doneBytes);
    if (isDue()) {
      const bytes = [...done.values()].reduce((total, part) => total + part, 0);
      emit({
        type: 'restore-progress',
        source: manifest.source,
        stage: 'fetch',
        database: `from ${destination.name}`,
        bytes,
        totalBytes,
      });
    }
  };
}
