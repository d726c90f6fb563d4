import { readFile } from 'node:fs/promises';
import { BackupdError } from '../core/errors.ts';
import { MANIFEST_FILE } from '../core/layout.ts';
import { isMirrored, sentFiles } from '../core/copies.ts';
import { storedBytes, type ArchiveFile } from '../core/manifest.ts';
import type { CatalogEntry, SentFile } from '../core/catalog-entry.ts';
import { fileKey, receiptKey } from '../core/remote-keys.ts';
import { reach } from '../core/steps.ts';
import { recordCopyTags, tagName } from '../store/copy-tags.ts';
import { recordPartialCopy, removePartialCopy } from '../store/partial-copies.ts';
import { uploadJournal } from '../store/upload-journals.ts';
import { changeUploadRecord } from '../store/upload-record.ts';
import { onStorage } from '../store/storage-error.ts';
import type { AtDestination } from './at-destination.ts';
import { checkOwner } from './owner.ts';
import { progressPace } from './progress-pace.ts';

/**
 * Sends a backup: its files, its receipts, then its manifest, with which the copy exists; and writes down that it is
 * there. Whatever ends it in between, the same call goes on with what the destination has.
 * @returns bytes of files that were sent
 * @throws BackupdError `archive-corrupt` where a file is not what its manifest says: the backup is marked damaged then;
 * `backup-not-found` where it was removed meanwhile; `locked` where the namespace is no longer ours; and what the
 * destination throws
 */
export async function sendBackup(
  entry: CatalogEntry,
  at: AtDestination,
  signal: AbortSignal,
): Promise<number> {
  const { context, destination } = at;
  const { manifest } = entry;
  const { dir } = context.storage;
  const { source, id } = manifest;
  try {
    await checkFiles(entry, at);
    await recordPartialCopy(dir, destination.name, {
      source,
      id,
      step: 'sending',
      files: manifest.files.map(({ name }) => name),
    });
    // What is put anew has no tags; what was given up before may have them still.
    await recordCopyTags(dir, destination, new Map([[tagName(manifest), null]]));
    reach('copy-recorded');
    const { files, sentBytes } = await sendFiles(entry, at, signal);
    await mirrorReceipts(entry, new Map(), at, signal);
    reach('receipts-uploaded');
    // Somebody may have taken the namespace over meanwhile, who decides from then on what is there.
    await checkOwner(at, signal);
    files.push(await sendManifest(entry, at, signal));
    reach('manifest-uploaded');
    await context.catalog.addReceipt(entry, {
      type: 'uploaded',
      at: new Date().toISOString(),
      destination: destination.name,
      files,
    });
    reach('copy-confirmed');
    await removePartialCopy(dir, destination.name, manifest);
    return sentBytes;
  } catch (error) {
    throw await explain(error, entry, at);
  }
}

async function checkFiles(entry: CatalogEntry, { context }: AtDestination): Promise<void> {
  const wrong = await context.catalog.wrongFile(entry);
  if (wrong !== null) {
    throw new BackupdError('archive-corrupt', wrong);
  }
}

async function sendFiles(
  entry: CatalogEntry,
  at: AtDestination,
  signal: AbortSignal,
): Promise<{ readonly files: SentFile[]; readonly sentBytes: number }> {
  const { context, destination } = at;
  const { manifest } = entry;
  const tell = progressOf(entry, at);
  const files: SentFile[] = [];
  let sentBytes = 0;
  let before = 0;
  for (const file of manifest.files) {
    const key = fileKey(manifest, file.name);
    const result = await destination.putFile(
      key,
      {
        path: context.catalog.path(manifest, file.name),
        bytes: file.storedBytes,
        sha256: file.sha256,
      },
      {
        journal: uploadJournal(context.storage.dir, destination.name, key),
        wrongEtag: await findWrongEtag(entry, file, at, signal),
        onProgress: (done) => {
          tell(before + done);
        },
      },
      signal,
    );
    before += file.storedBytes;
    sentBytes += result.sentBytes;
    const { etag, versionId } = result;
    files.push({ name: file.name, bytes: file.storedBytes, etag, versionId });
    await countSent(result.sentBytes, at);
    reach('file-uploaded');
  }
  return { files, sentBytes };
}

/** Bytes are counted file by file, so that those of an upload that is cut off later are not lost. */
async function countSent(bytes: number, { context, destination }: AtDestination): Promise<void> {
  if (bytes > 0) {
    await changeUploadRecord(context.storage.dir, destination.name, (record) => ({
      ...record,
      bytesTotal: record.bytesTotal + bytes,
    }));
  }
}

/**
 * Where a copy was sent before and is sent again, something is wrong with it: what lies there under other marks than it
 * had was altered, though its metadata may say otherwise.
 */
async function findWrongEtag(
  entry: CatalogEntry,
  { name }: ArchiveFile,
  { destination }: AtDestination,
  signal: AbortSignal,
): Promise<string | null> {
  const sent = sentFiles(entry, destination.name).find((file) => file.name === name);
  if (sent === undefined) {
    return null;
  }
  const there = await destination.head(fileKey(entry.manifest, name), null, signal);
  return there === null || there.etag === sent.etag ? null : there.etag;
}

/**
 * Puts the receipts of a backup beside its copy that are not there yet.
 * @param there sizes of what is there, by the names in the folder of the backup
 */
export async function mirrorReceipts(
  { manifest }: CatalogEntry,
  there: ReadonlyMap<string, { readonly bytes: number }>,
  { context, destination }: AtDestination,
  signal: AbortSignal,
): Promise<void> {
  for (const [file, receipt] of await context.catalog.receiptFiles(manifest)) {
    const key = receiptKey(manifest, file);
    const bytes = Buffer.from(`${JSON.stringify(receipt)}\n`);
    const name = key.slice(fileKey(manifest, '').length);
    if (isMirrored(receipt) && there.get(name)?.bytes !== bytes.length) {
      await destination.put(key, bytes, { ifAbsent: false }, signal);
    }
  }
}

/** As it is on the disk, to the byte. */
async function sendManifest(
  { manifest }: CatalogEntry,
  { context, destination }: AtDestination,
  signal: AbortSignal,
): Promise<SentFile> {
  const path = context.catalog.path(manifest, MANIFEST_FILE);
  const bytes = await onStorage(path, () => readFile(path));
  const key = fileKey(manifest, MANIFEST_FILE);
  await destination.put(key, bytes, { ifAbsent: false }, signal);
  const there = await destination.head(key, null, signal);
  if (there?.bytes !== bytes.length) {
    throw new BackupdError(
      'destination-unavailable',
      `${key} is not at ${destination.name} after it was put there`,
      { hint: 'Something else removes or replaces objects there: look for it.' },
    );
  }
  const { etag, versionId } = there;
  return { name: MANIFEST_FILE, bytes: bytes.length, etag, versionId };
}

function progressOf(
  { manifest }: CatalogEntry,
  { context, destination }: AtDestination,
): (bytes: number) => void {
  const { source, id } = manifest;
  const totalBytes = storedBytes(manifest);
  const isDue = progressPace();
  return (bytes) => {
    if (isDue() || bytes === totalBytes) {
      const event = { source, id, destination: destination.name, bytes, totalBytes };
      context.emit({ type: 'upload-progress', ...event });
    }
  };
}

/** What is damaged here is marked so; what is gone here failed because of that. */
async function explain(
  error: unknown,
  entry: CatalogEntry,
  { context }: AtDestination,
): Promise<unknown> {
  const { source, id } = entry.manifest;
  try {
    await context.catalog.manifest(source, id);
    if (error instanceof BackupdError && error.code === 'archive-corrupt') {
      await context.catalog.addReceipt(entry, {
        type: 'damaged',
        at: new Date().toISOString(),
        message: error.message,
      });
    }
    return error;
  } catch (gone) {
    return gone instanceof BackupdError && gone.code === 'backup-not-found' ? gone : error;
  }
}
