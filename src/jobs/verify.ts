import { access, constants } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { pacedFile } from '../archive/paced-file.ts';
import { checkContent, checkStored, type StoredAt } from '../archive/read-archive.ts';
import type { KeyRing, Stages } from '../core/encryption.ts';
import { BackupdError, toFailure, type Failure, type FailureCode } from '../core/errors.ts';
import { isBackupId, type BackupId } from '../core/layout.ts';
import { dumpBytes, type ArchiveFile, type Manifest } from '../core/manifest.ts';
import { hintOfNames } from '../core/source-names.ts';
import type { Receipt } from '../core/catalog-entry.ts';
import { knownSources } from '../store/known-sources.ts';
import type { App, JobContext } from './context.ts';
import { findHere } from './find-anywhere.ts';
import { progressPace } from './progress-pace.ts';

/** What a look at one backup found. */
export interface Verification {
  readonly id: BackupId;
  readonly source: string;
  readonly ok: boolean;
  /** `stored`: size and SHA-256, all there is without the key; `content`: also decrypted, decompressed, and its format checked to the end. */
  readonly depth: 'stored' | 'content';
  /** Stored bytes that were read and found right. */
  readonly checkedBytes: number;
  /** Null where it is whole. */
  readonly failure: Failure | null;
}

/** What is to be verified; both null: all backups. */
export interface VerifyRequest {
  readonly source: string | null;
  /** An id, or a unique beginning of one. */
  readonly id: string | null;
}

export interface VerifyApp extends Pick<App, 'context' | 'reader'> {
  /** Resolves when the next piece of a file that is here may be read; absent: as fast as it can be. */
  readonly turn?: () => Promise<void>;
}

/**
 * Reads backups back, newest first, and writes down what it found where the directory can be written. What is wrong with
 * one does not keep the others from being read.
 * @throws BackupdError `backup-not-found` or `usage` for an id, `source-not-found`, `storage-unavailable`, `cancelled`
 */
export async function verifyBackups(
  request: VerifyRequest,
  app: VerifyApp,
  signal: AbortSignal,
): Promise<readonly Verification[]> {
  const writable = await isWritable(app.context.storage.dir);
  await using ring = app.context.keys.ring();
  const verifications: Verification[] = [];
  for (const backup of await chooseBackups(request, app)) {
    const verification = await verifyBackup(backup, { ...app, ring, writable }, signal);
    if (verification !== null) {
      const { source, id, failure } = verification;
      app.context.emit({ type: 'verified', source, id, failure });
      verifications.push(verification);
    }
  }
  return verifications;
}

/** Backups on a read-only mount can be verified; that they were is then not written down. */
async function isWritable(dir: string): Promise<boolean> {
  try {
    await access(dir, constants.W_OK);
    return true;
  } catch {
    // Whatever else is wrong with it, reading will tell.
    return false;
  }
}

/** Retention may remove a backup while it is read; one of another namespace is none of ours. */
const OF_NO_CONCERN: ReadonlySet<FailureCode> = new Set(['backup-not-found', 'config-invalid']);

export interface BackupRef {
  readonly source: string;
  readonly id: BackupId;
}

async function chooseBackups(
  { source, id }: VerifyRequest,
  { context }: VerifyApp,
): Promise<readonly BackupRef[]> {
  const { catalog, storage } = context;
  if (id !== null) {
    const here = await findHere(id, context);
    if (here.entry === null) {
      throw namingCopies(here.failure, id, context);
    }
    const { manifest } = here.entry;
    return [{ source: manifest.source, id: manifest.id }];
  }
  const there = await catalog.sources();
  if (source !== null && !there.includes(source)) {
    await checkKnown(source, there, storage.dir);
  }
  const chosen = there.filter((name) => source === null || name === source);
  const damaged = await listFolders({ catalog, storage });
  const backups: BackupRef[] = [];
  for (const name of chosen) {
    const ids = (await catalog.entries(name)).map(({ manifest }) => manifest.id);
    const others = damaged.filter((backup) => backup.source === name).map((backup) => backup.id);
    const newestFirst = [...new Set([...ids, ...others])].toSorted().toReversed();
    backups.push(...newestFirst.map((each) => ({ source: name, id: each })));
  }
  return backups;
}

/** A backup that is not here may be elsewhere, where it is verified on demand only: that takes a download. */
function namingCopies(
  failure: BackupdError,
  id: string,
  { destinations }: Pick<JobContext, 'destinations'>,
): BackupdError {
  const { code, message, hint, cause } = failure;
  const [first] = destinations.map(({ settings }) => settings.name);
  if (code !== 'backup-not-found' || first === undefined) {
    return failure;
  }
  const elsewhere = `A copy elsewhere is read with --from, for example "backupd verify ${id} --from ${first}".`;
  return new BackupdError(code, message, { hint: `${hint ?? ''} ${elsewhere}`.trim(), cause });
}

/** Folders of backups in which something is wrong at a glance. */
async function listFolders({
  catalog,
  storage,
}: Pick<JobContext, 'catalog' | 'storage'>): Promise<readonly BackupRef[]> {
  return (await catalog.problems()).flatMap(({ path }) => backupAt(relative(storage.dir, path)));
}

/** Backups here that were found damaged, or are at a glance: of a file, or of the manifest itself. */
export async function damagedBackups(context: JobContext): Promise<readonly BackupRef[]> {
  const damaged: BackupRef[] = [];
  for (const folder of await listFolders(context)) {
    try {
      await context.catalog.manifest(folder.source, folder.id);
      damaged.push(folder);
    } catch (error) {
      // What is somebody else's, or of a newer backupd, is none of ours to mend.
      if (toFailure(error).code === 'archive-corrupt') {
        damaged.push(folder);
      }
    }
  }
  return damaged;
}

/** A source without backups yet is no mistake. */
async function checkKnown(source: string, there: readonly string[], dir: string): Promise<void> {
  const known = (await knownSources(dir)).map((job) => job.source);
  if (!known.includes(source)) {
    const names = [...new Set([...there, ...known])].toSorted();
    throw new BackupdError('source-not-found', `there is no source "${source}"`, {
      hint: hintOfNames(names),
    });
  }
}

/** The backup whose folder this is; none for anything else in the directory. */
function backupAt(path: string): readonly BackupRef[] {
  const [source = '', id = '', ...deeper] = path.split(sep);
  return isBackupId(id) && deeper.length === 0 ? [{ source, id }] : [];
}

interface Verifying extends VerifyApp {
  readonly ring: KeyRing;
  readonly writable: boolean;
}

/** Null for a backup that is gone, or was never one of ours. */
async function verifyBackup(
  { source, id }: BackupRef,
  app: Verifying,
  signal: AbortSignal,
): Promise<Verification | null> {
  const { catalog } = app.context;
  let manifest: Manifest;
  try {
    manifest = await catalog.manifest(source, id);
  } catch (error) {
    const failure = toFailure(error);
    return OF_NO_CONCERN.has(failure.code)
      ? null
      : { source, id, ok: false, depth: 'stored', checkedBytes: 0, failure };
  }
  const { turn } = app;
  function at(file: ArchiveFile): StoredAt {
    return pacedFile(catalog.path(manifest, file.name), turn);
  }
  const verification = await readBackup(manifest, { ...app, at }, signal);
  const receipt = receiptOf(verification);
  if (receipt === null || !app.writable) {
    return verification;
  }
  try {
    await catalog.addReceipt({ manifest }, receipt);
    return verification;
  } catch (error) {
    const failure = toFailure(error);
    return OF_NO_CONCERN.has(failure.code)
      ? null
      : { ...verification, ok: false, failure: verification.failure ?? failure };
  }
}

/** What reading a backup needs. */
export interface ReadingApp extends VerifyApp {
  readonly ring: KeyRing;
  /** Where a file of it is. */
  readonly at: (file: ArchiveFile) => StoredAt;
}

/** Reads one backup to its end. @throws the signal's reason */
export async function readBackup(
  manifest: Manifest,
  app: ReadingApp,
  signal: AbortSignal,
): Promise<Verification> {
  const { source, id } = manifest;
  const reading: Reading = { depth: 'stored', checkedBytes: 0 };
  try {
    const decrypt = await decryptionOf(manifest, app.ring, signal);
    reading.depth = decrypt === null ? 'stored' : 'content';
    await readFiles(manifest, reading, { ...app, decrypt }, signal);
    return { source, id, ok: true, ...reading, failure: null };
  } catch (error) {
    signal.throwIfAborted();
    return { source, id, ok: false, ...reading, failure: toFailure(error) };
  }
}

/** Null without the key: then only what is stored can be checked. One that does not fit is a mistake to be told. */
async function decryptionOf(
  manifest: Manifest,
  ring: KeyRing,
  signal: AbortSignal,
): Promise<Stages | null> {
  try {
    return await ring.open(manifest, signal);
  } catch (error) {
    if (toFailure(error).code === 'key-missing') {
      return null;
    }
    throw error;
  }
}

/** How far the reading of a backup came. */
interface Reading {
  depth: Verification['depth'];
  checkedBytes: number;
}

async function readFiles(
  manifest: Manifest,
  reading: Reading,
  { decrypt, ...app }: ReadingApp & { readonly decrypt: Stages | null },
  signal: AbortSignal,
): Promise<void> {
  const totalBytes = dumpBytes(manifest);
  let bytes = 0;
  const isDue = progressPace();

  function progress(more: number): void {
    bytes += more;
    if (isDue()) {
      const { source, id } = manifest;
      app.context.emit({ type: 'verify-progress', source, id, bytes, totalBytes });
    }
  }

  for (const file of manifest.files) {
    const path = app.at(file);
    if (decrypt !== null) {
      const reader = await app.reader(manifest.engine, file.format);
      await checkContent(path, file, { decrypt, reader, onBytes: progress }, signal);
    } else {
      await checkStored(path, file, signal);
      progress(file.dumpBytes);
    }
    reading.checkedBytes += file.storedBytes;
  }
}

/** Null where nothing was learnt of the backup: what could not be read may be whole. */
function receiptOf({ depth, failure }: Verification): Receipt | null {
  const at = new Date().toISOString();
  if (failure === null) {
    return { type: 'verified', at, depth };
  }
  return failure.code === 'archive-corrupt'
    ? { type: 'damaged', at, depth, message: failure.message }
    : null;
}
