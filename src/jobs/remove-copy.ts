import type { ListedVersion } from '../core/destination.ts';
import { BackupdError } from '../core/errors.ts';
import { MANIFEST_FILE, type BackupId } from '../core/layout.ts';
import { backupPrefix, fileKey, isRecordName } from '../core/remote-keys.ts';
import { reach } from '../core/steps.ts';
import { recordPartialCopy, removePartialCopy } from '../store/partial-copies.ts';
import { readUploads, uploadJournal } from '../store/upload-journals.ts';
import { changeUploadRecord } from '../store/upload-record.ts';
import type { AtDestination } from './at-destination.ts';

/** A copy that is to be removed. */
export interface UnwantedCopy {
  readonly source: string;
  readonly id: BackupId;
  /** Names of its archives. What else is in its folder is not ours, but for manifest and receipts. */
  readonly files: readonly string[];
}

/** What came of it. `kept`: it is locked, and whole. `removed`: it is no backup any more, though some of it may be locked. */
export type CopyRemoval =
  | { readonly outcome: 'removed'; readonly left: Lock | null }
  | { readonly outcome: 'kept'; readonly lock: Lock };

interface Lock {
  readonly name: string;
  /** ISO 8601; null: for good. */
  readonly until: string | null;
}

/**
 * Removes a copy, all versions of all its objects: the manifest first, so that what an interruption leaves is no backup.
 * What it leaves is known by our own record, and removed by the next run.
 * @throws BackupdError what the destination throws, `no-space`, `storage-unavailable`
 */
export async function removeCopy(
  copy: UnwantedCopy,
  at: AtDestination,
  signal: AbortSignal,
): Promise<CopyRemoval> {
  const { context, destination } = at;
  const { source, id, files } = copy;
  const { dir } = context.storage;
  await recordPartialCopy(dir, destination.name, { source, id, files, step: 'removing' });
  reach('removal-recorded');
  const removal = await removeObjects(copy, at, signal);
  if (removal.outcome === 'removed') {
    await noteRemoval(copy, at);
    reach('copy-removed');
  }
  if (removal.outcome === 'kept' || removal.left === null) {
    await removePartialCopy(dir, destination.name, copy);
  }
  return removal;
}

/**
 * Removes what was sent of a copy that never came to be; one that has its manifest is a copy, and a matter of retention.
 * @throws BackupdError as {@link removeCopy}
 */
export async function removeRemnant(
  copy: UnwantedCopy,
  at: AtDestination,
  signal: AbortSignal,
): Promise<void> {
  const { context, destination } = at;
  const { namespace, dir } = context.storage;
  const key = fileKey({ namespace, source: copy.source, id: copy.id }, MANIFEST_FILE);
  const isCopy = (await destination.head(key, null, signal)) !== null;
  const removal = isCopy ? null : await removeObjects(copy, at, signal);
  if (removal === null || (removal.outcome === 'removed' && removal.left === null)) {
    await removePartialCopy(dir, destination.name, copy);
  }
}

async function removeObjects(
  copy: UnwantedCopy,
  at: AtDestination,
  signal: AbortSignal,
): Promise<CopyRemoval> {
  const { destination } = at;
  const versions = await listOwn(copy, at, signal);
  const manifests = versions.filter(({ name }) => name === MANIFEST_FILE);
  // The oldest first: as long as the newest is there, it is a backup.
  for (const { version } of manifests.toReversed()) {
    const removal = await destination.remove(version.key, version.versionId, signal);
    if (removal.outcome === 'locked') {
      return { outcome: 'kept', lock: { name: MANIFEST_FILE, until: removal.until } };
    }
    checkGone(removal.outcome, version, at);
  }
  reach('remote-manifest-removed');
  let left: Lock | null = null;
  for (const { name, version } of versions.filter((each) => !manifests.includes(each))) {
    const removal = await destination.remove(version.key, version.versionId, signal);
    if (removal.outcome === 'locked') {
      left = { name, until: removal.until };
    } else {
      checkGone(removal.outcome, version, at);
    }
  }
  await endUploads(copy, at, signal);
  return { outcome: 'removed', left };
}

interface OwnVersion {
  readonly name: string;
  readonly version: ListedVersion;
}

/** Of one key newest first. */
async function listOwn(
  { source, id, files }: UnwantedCopy,
  { context, destination }: AtDestination,
  signal: AbortSignal,
): Promise<readonly OwnVersion[]> {
  const prefix = backupPrefix({ namespace: context.storage.namespace, source, id });
  const own = new Set(files);
  const versions: OwnVersion[] = [];
  for await (const version of destination.listVersions(prefix, signal)) {
    const name = version.key.slice(prefix.length);
    if (own.has(name) || isRecordName(name)) {
      versions.push({ name, version });
    }
  }
  return versions;
}

/** A delete marker hides an object that is still there, and still paid for. */
function checkGone(
  outcome: 'removed' | 'hidden',
  { key }: ListedVersion,
  { destination }: AtDestination,
): void {
  if (outcome === 'hidden') {
    throw new BackupdError(
      'destination-unavailable',
      `${key} at ${destination.name} was hidden by a delete marker and not removed: it does not tell its versions`,
      { hint: 'Look at the versioning of the bucket: it was turned on in this moment.' },
    );
  }
}

/** What was begun to be sent and is not wanted any more. */
async function endUploads(
  { source, id, files }: UnwantedCopy,
  { context, destination }: AtDestination,
  signal: AbortSignal,
): Promise<void> {
  const { dir, namespace } = context.storage;
  const keys = new Set(files.map((file) => fileKey({ namespace, source, id }, file)));
  for (const upload of await readUploads(dir, destination.name)) {
    if (keys.has(upload.key)) {
      await destination.abortUpload(upload, signal);
      await uploadJournal(dir, destination.name, upload.key).clear();
    }
  }
}

/** Where the backup is here still, it is known there no longer. */
async function noteRemoval(
  { source, id }: UnwantedCopy,
  { context, destination }: AtDestination,
): Promise<void> {
  try {
    await context.catalog.addReceipt(
      { manifest: { source, id } },
      { type: 'removed', at: new Date().toISOString(), destination: destination.name },
    );
  } catch (error) {
    if (!(error instanceof BackupdError) || error.code !== 'backup-not-found') {
      throw error;
    }
  }
  await changeUploadRecord(context.storage.dir, destination.name, (record) => ({
    ...record,
    removedTotal: { ...record.removedTotal, [source]: (record.removedTotal[source] ?? 0) + 1 },
  }));
}
