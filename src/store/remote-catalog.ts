import { atOnce } from '../core/at-once.ts';
import type { Destination, ListedVersion } from '../core/destination.ts';
import { BackupdError, toFailure } from '../core/errors.ts';
import { isBackupId, isSourceName, MANIFEST_FILE, type BackupId } from '../core/layout.ts';
import {
  parseManifest,
  summariseManifest,
  type Manifest,
  type ManifestSummary,
} from '../core/manifest.ts';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import { openRemoteCache, type RemoteCache } from './remote-cache.ts';
import {
  listBackups,
  whole,
  type ListedBackup,
  type Listing,
  type RemoteObjects,
} from './remote-listing.ts';
import { listRemoteReceipts } from './remote-receipts.ts';

/**
 * What is looked at. Everything of a backup is written once, so where versions are kept the oldest one that fits is the one
 * that counts: who overwrites can only add newer ones.
 */
export interface RemoteQuery extends Listing {
  /** The directory of the backups, where what was fetched is remembered. */
  readonly dir: string;
}

/** What a destination holds, as one listing found it. */
export interface RemoteLook {
  /** The sources of which there is anything, sorted. */
  readonly sources: readonly string[];
  /** Newest first; of all sources, source by source. */
  readonly entries: readonly RemoteEntry[];
  /**
   * What is named as a backup and has no manifest that can be used: damaged, or (with `backup-not-found`) without any, since
   * its upload is under way or was interrupted.
   */
  readonly unreadable: readonly UnreadableRemote[];
  /** Whether there may be more, deleted or overwritten, that was not looked at, since backupd may not ask for it. */
  readonly isPartial: boolean;
}

export interface RemoteEntry extends CatalogEntry {
  /** Why it cannot be restored: a file is missing there, or has another size than recorded; null: it is whole. */
  readonly flaw: string | null;
  /** Whether some of it was deleted or overwritten, and is taken from versions before that. */
  readonly isHidden: boolean;
  readonly manifestVersion: ListedVersion;
  readonly objects: RemoteObjects;
}

export interface UnreadableRemote {
  readonly source: string;
  readonly id: BackupId;
  readonly error: BackupdError;
  readonly objects: RemoteObjects;
}

/** How many small objects are fetched side by side. */
const WIDTH = 32;

/**
 * Looks at what a destination holds: one listing, then each manifest and receipt that was not fetched before. Objects
 * that are not of backups are left out.
 * @throws BackupdError `destination-unavailable`, `destination-denied`, `storage-unavailable`
 */
export async function lookAtRemote(query: RemoteQuery, signal: AbortSignal): Promise<RemoteLook> {
  const { backups: listed, isPartial } = await listBackups(query, signal);
  const entries: RemoteEntry[] = [];
  const unreadable: UnreadableRemote[] = [];
  const sources = [...new Set(listed.map(({ source }) => source))].toSorted();
  const caches = new Map<string, RemoteCache>();
  try {
    for (const source of sources) {
      const { dir, destination, namespace } = query;
      const place = { dir, destination: destination.name, namespace, source };
      caches.set(source, await openRemoteCache(place));
    }
    await atOnce(listed, WIDTH, async (backup) => {
      const cache = caches.get(backup.source) as RemoteCache;
      const found = await readBackup(backup, { ...query, cache }, signal);
      if (found !== null && 'error' in found) {
        unreadable.push(found);
      } else if (found !== null) {
        entries.push(found);
      }
    });
  } finally {
    for (const cache of caches.values()) {
      await cache.close();
    }
  }
  return {
    sources,
    entries: entries.toSorted((one, other) => order(one.manifest, other.manifest)),
    unreadable: unreadable.toSorted(order),
    isPartial,
  };
}

/** The names of all sources of a namespace of which there is anything, sorted. @throws BackupdError as the one above */
export async function findRemoteSources(
  destination: Destination,
  namespace: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return (await destination.listFolders(`${namespace}/`, signal)).filter(isSourceName).toSorted();
}

/**
 * The namespaces that hold backups there.
 * @throws BackupdError `destination-unavailable`, `destination-denied`
 */
export async function findNamespaces(
  destination: Destination,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of (await destination.listFolders('', signal)).filter(isSourceName)) {
    for (const source of await findRemoteSources(destination, name, signal)) {
      if ((await destination.listFolders(`${name}/${source}/`, signal)).some(isBackupId)) {
        found.push(name);
        break;
      }
    }
  }
  return found.toSorted();
}

/**
 * The whole manifest of a backup there.
 * @throws BackupdError `backup-not-found` where it is gone meanwhile, and what `lookAtRemote` throws
 */
export async function readRemoteManifest(
  destination: Destination,
  { manifest, manifestVersion }: RemoteEntry,
  signal: AbortSignal,
): Promise<Manifest> {
  const { key, versionId } = manifestVersion;
  const bytes = await destination.get(key, versionId, signal);
  if (bytes === null) {
    throw new BackupdError(
      'backup-not-found',
      `backup ${manifest.id} is not at ${destination.name} any more`,
      { hint: 'Run "backupd list --from" to see what is there now.' },
    );
  }
  return parseManifest(bytes.toString('utf8'), `${manifest.id} at ${destination.name}`);
}

/** The versions of a file that may be the recorded one, the likeliest first. */
export function versionsOf(
  { objects }: Pick<RemoteEntry, 'objects'>,
  file: { readonly name: string; readonly storedBytes: number },
): readonly ListedVersion[] {
  return whole(objects, file.name).filter(({ bytes }) => bytes === file.storedBytes);
}

interface Reading extends RemoteQuery {
  readonly cache: RemoteCache;
}

/** Null where it was removed while we looked. */
async function readBackup(
  backup: ListedBackup,
  reading: Reading,
  signal: AbortSignal,
): Promise<RemoteEntry | UnreadableRemote | null> {
  const { source, id, objects } = backup;
  const there = `${id} at ${reading.destination.name}`;
  let error = new BackupdError('backup-not-found', `${there} has no ${MANIFEST_FILE}`, {
    hint: 'It is no backup: its upload was interrupted, or its removal.',
  });
  for (const version of whole(objects, MANIFEST_FILE)) {
    try {
      const manifest = await readSummary(backup, version, reading, signal);
      return manifest === null
        ? null
        : await describe(backup, { manifest, version }, reading, signal);
    } catch (thrown) {
      error = asUnusable(thrown);
    }
  }
  return { source, id, error, objects };
}

/** What is wrong with this one backup; everything else is thrown on. */
function asUnusable(thrown: unknown): BackupdError {
  const { code } = toFailure(thrown);
  const isOfBackup = ['archive-corrupt', 'format-unsupported', 'retrieval-pending'].includes(code);
  if (isOfBackup && thrown instanceof BackupdError) {
    return thrown;
  }
  throw thrown;
}

/** Null where it was removed while we looked. */
async function readSummary(
  { source, id }: ListedBackup,
  version: ListedVersion,
  { destination, namespace, cache }: Reading,
  signal: AbortSignal,
): Promise<ManifestSummary | null> {
  const object = { name: `${id}/${MANIFEST_FILE}`, version };
  const known = cache.get(object) as ManifestSummary | null;
  if (known !== null) {
    return known;
  }
  const bytes = await destination.get(version.key, version.versionId, signal);
  if (bytes === null) {
    return null;
  }
  const where = `${version.key} at ${destination.name}`;
  const manifest = summariseManifest(parseManifest(bytes.toString('utf8'), where));
  if (manifest.id !== id || manifest.source !== source || manifest.namespace !== namespace) {
    throw new BackupdError(
      'archive-corrupt',
      `${where} is the manifest of ${manifest.namespace}/${manifest.source}/${manifest.id}`,
      {
        hint: 'A backup was copied or renamed there: move it back to the place its manifest names.',
      },
    );
  }
  await cache.add(object, manifest);
  return manifest;
}

async function describe(
  { objects }: ListedBackup,
  { manifest, version }: { readonly manifest: ManifestSummary; readonly version: ListedVersion },
  reading: Reading,
  signal: AbortSignal,
): Promise<RemoteEntry> {
  const used = [
    { name: MANIFEST_FILE, version },
    ...manifest.files.map((file) => ({
      name: file.name,
      version: versionsOf({ objects }, file)[0],
    })),
  ];
  return {
    manifest,
    receipts: await listRemoteReceipts({ objects, id: manifest.id }, reading, signal),
    flaw: findFlaw(manifest, objects),
    isHidden: used.some((file) => isHidden(file, objects)),
    manifestVersion: version,
    objects,
  };
}

/** Whether something else is there now; what was sent again is the same. */
function isHidden(
  { name, version }: { readonly name: string; readonly version: ListedVersion | undefined },
  objects: RemoteObjects,
): boolean {
  const now = objects.get(name)?.find(({ isLatest }) => isLatest);
  return version !== undefined && (now?.isDeleteMarker !== false || now.etag !== version.etag);
}

function findFlaw(manifest: ManifestSummary, objects: RemoteObjects): string | null {
  for (const file of manifest.files) {
    if (versionsOf({ objects }, file).length === 0) {
      const [other] = whole(objects, file.name);
      return other === undefined
        ? `its ${file.name} is missing there`
        : `its ${file.name} has ${other.bytes} bytes there, ${file.storedBytes} are recorded`;
    }
  }
  return null;
}

interface Place {
  readonly source: string;
  readonly id: BackupId;
}

/** By source, newest first. */
function order(one: Place, other: Place): number {
  return compare(one.source, other.source) || compare(other.id, one.id);
}

function compare(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1;
}
