import { atOnce } from '../core/at-once.ts';
import type { CatalogEntry, Receipt } from '../core/catalog-entry.ts';
import { hasCopy, lastCopy, sentFiles } from '../core/copies.ts';
import type { DestinationSettings, Lifecycle } from '../core/destination-settings.ts';
import type { ListedVersion } from '../core/destination.ts';
import { BackupdError } from '../core/errors.ts';
import type { BackupId } from '../core/layout.ts';
import type { LifecycleTag, StoreLifecycle } from '../core/lifecycle.ts';
import { isRecordName } from '../core/remote-keys.ts';
import { readCopyTags, recordCopyTags, tagName, type CopyTag } from '../store/copy-tags.ts';
import type { RemoteEntry } from '../store/remote-catalog.ts';
import { changeUploadRecord, readUploadRecord } from '../store/upload-record.ts';
import type { AtDestination } from './at-destination.ts';
import { checkOwner } from './owner.ts';

/** How many copies are tagged between two notes of it, and how many objects side by side. */
const COPIES_AT_ONCE = 50;
const OBJECTS_AT_ONCE = 16;

/** What the store is to do by itself, as configured; null: nothing. */
export function wantedLifecycle({ place }: Pick<DestinationSettings, 'place'>): Lifecycle | null {
  return place.kind === 's3' ? place.lifecycle : null;
}

/** A copy, and the tag that its objects are to have. */
export interface TagWish {
  readonly entry: RemoteEntry;
  readonly tag: CopyTag;
}

/**
 * Gives the objects of copies the tags that rules of the store go by. Copies that are known to have them cost no request.
 * What is interrupted is done anew: as long as a copy is worked at, nothing is known of its tags.
 * @throws BackupdError `locked` where the namespace is not ours, and what the destination throws
 */
export async function tagCopies(
  wishes: readonly TagWish[],
  at: AtDestination,
  signal: AbortSignal,
): Promise<void> {
  const { context, destination } = at;
  const { dir } = context.storage;
  const lifecycle = neededLifecycle(at);
  const known = await readCopyTags(dir, destination);
  const open = wishes.filter(({ entry, tag }) => known.get(tagName(entry.manifest)) !== tag);
  for (let from = 0; from < open.length; from += COPIES_AT_ONCE) {
    const some = open.slice(from, from + COPIES_AT_ONCE);
    await checkOwner(at, signal);
    const unknown = some.map(({ entry }) => [tagName(entry.manifest), null] as const);
    await recordCopyTags(dir, destination, new Map(unknown));
    await atOnce(some.flatMap(objectsOf), OBJECTS_AT_ONCE, async ({ version, tag }) =>
      lifecycle.writeTag(version, tag, signal),
    );
    for (const wish of some) {
      await noteVerdict(wish, at);
    }
    const done = some.map(({ entry, tag }) => [tagName(entry.manifest), tag] as const);
    await recordCopyTags(dir, destination, new Map(done));
  }
}

function neededLifecycle({ destination }: AtDestination): StoreLifecycle {
  if (destination.lifecycle === null) {
    throw new Error(`${destination.name} has no lifecycle`);
  }
  return destination.lifecycle;
}

interface TaggedObject {
  readonly version: ListedVersion;
  readonly tag: LifecycleTag | null;
}

/** All that is ours of a copy, all versions. Manifests and receipts are never archived. */
function objectsOf({ entry, tag }: TagWish): readonly TaggedObject[] {
  const archives = new Set(entry.manifest.files.map(({ name }) => name));
  return [...entry.objects].flatMap(([name, versions]) => {
    const isArchive = archives.has(name);
    if (!isArchive && !isRecordName(name)) {
      return [];
    }
    const own = tag === 'expire' || (tag === 'archive' && isArchive) ? tag : null;
    return versions
      .filter(({ isDeleteMarker }) => !isDeleteMarker)
      .map((version) => ({ version, tag: own }));
  });
}

/** A copy that was given up is no copy to count on, though it is there yet; one that is kept again is. */
async function noteVerdict(
  { entry, tag }: TagWish,
  { context, destination }: AtDestination,
): Promise<void> {
  const { source, id } = entry.manifest;
  const here = (await context.catalog.entries(source)).find(({ manifest }) => manifest.id === id);
  const receipt =
    here === undefined ? null : verdictReceipt(here, { entry, tag }, destination.name);
  if (here !== undefined && receipt !== null) {
    try {
      await context.catalog.addReceipt(here, receipt);
    } catch (error) {
      if (!(error instanceof BackupdError) || error.code !== 'backup-not-found') {
        throw error;
      }
    }
  }
}

function verdictReceipt(
  here: CatalogEntry,
  { entry, tag }: TagWish,
  destination: string,
): Receipt | null {
  const at = new Date().toISOString();
  if (tag === 'expire') {
    return hasCopy(here, destination) ? { type: 'removed', at, destination } : null;
  }
  const files = sentFiles(here, destination);
  const isBack = lastCopy(here, destination)?.type === 'removed' && entry.flaw === null;
  return isBack && files.length > 0 ? { type: 'uploaded', at, destination, files } : null;
}

/** Which of these copies the store was told to delete already; asks it where that is not known here. */
export async function findGivenUp(
  entries: readonly RemoteEntry[],
  { context, destination }: AtDestination,
  signal: AbortSignal,
): Promise<ReadonlySet<BackupId>> {
  const known = await readCopyTags(context.storage.dir, destination);
  const found = new Set<BackupId>();
  await atOnce(entries, OBJECTS_AT_ONCE, async ({ manifest, manifestVersion }) => {
    const tag =
      known.get(tagName(manifest)) ??
      (await destination.lifecycle?.readTag(manifestVersion, signal)) ??
      'none';
    if (tag === 'expire') {
      found.add(manifest.id);
    }
  });
  return found;
}

/** Tells of the copies that the store has deleted since they were given up, and forgets the tags of all that are gone. */
export async function noteVanished(
  source: string | null,
  entries: readonly RemoteEntry[],
  { context, destination }: AtDestination,
): Promise<void> {
  const { dir } = context.storage;
  const there = new Set(entries.map(({ manifest }) => tagName(manifest)));
  const gone = [...(await readCopyTags(dir, destination))].flatMap(([name, tag]) => {
    const [of = '', id = ''] = name.split('/');
    return there.has(name) || (source !== null && of !== source) ? [] : [{ name, of, id, tag }];
  });
  if (gone.length === 0) {
    return;
  }
  await recordCopyTags(dir, destination, new Map(gone.map(({ name }) => [name, null])));
  const deleted = gone.filter(({ tag }) => tag === 'expire');
  await changeUploadRecord(dir, destination.name, (record) => {
    const removedTotal = { ...record.removedTotal };
    for (const { of } of deleted) {
      removedTotal[of] = (removedTotal[of] ?? 0) + 1;
    }
    return { ...record, removedTotal };
  });
  for (const { of, id } of deleted) {
    const where = destination.name;
    context.emit({ type: 'backup-removed', source: of, where, id: id as BackupId });
  }
}

/** Makes the rules at the bucket what is configured; takes them away where nothing is any more. */
export async function applyLifecycle(
  settings: DestinationSettings,
  { context, destination }: AtDestination,
  signal: AbortSignal,
): Promise<void> {
  const { dir, namespace } = context.storage;
  const wanted = wantedLifecycle(settings);
  const { rulesAt } = await readUploadRecord(dir, settings.name);
  if (destination.lifecycle === null || (wanted === null && rulesAt !== destination.place)) {
    return;
  }
  await destination.lifecycle.applyRules(namespace, wanted, signal);
  const now = wanted === null ? null : destination.place;
  if (rulesAt !== now) {
    await changeUploadRecord(dir, settings.name, (record) => ({ ...record, rulesAt: now }));
  }
}

const DAY_MS = 86_400_000;

/** From when on the store deletes a copy that was given up: stores count whole days, and begin at midnight. */
export function deletedFrom({ manifestVersion, objects }: RemoteEntry, days: number): string {
  const newest = [...objects.values()]
    .flat()
    .reduce((latest, { modifiedAt }) => (modifiedAt > latest ? modifiedAt : latest), '');
  const madeMs = Date.parse(newest === '' ? manifestVersion.modifiedAt : newest);
  const atMs = Math.ceil((madeMs + days * DAY_MS) / DAY_MS) * DAY_MS;
  return new Date(atMs).toISOString().slice(0, 10);
}
