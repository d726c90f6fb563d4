import { hasCopy } from '../core/copies.ts';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import { isArchiveName } from '../core/manifest.ts';
import { fileKey, parseKey } from '../core/remote-keys.ts';
import { readPartialCopies, removePartialCopy, type PartialCopy } from '../store/partial-copies.ts';
import { readUploads } from '../store/upload-journals.ts';
import type { AtDestination } from './at-destination.ts';
import { removeRemnant } from './remove-copy.ts';

/** An upload of which nothing is recorded here is abandoned after so long: somebody else's may be under way. */
const ABANDONED_MS = 86_400_000;

/**
 * Removes at a destination what was begun to be sent and is not wanted any more, and ends uploads of ours that nobody
 * can go on with. Others are left alone. The caller holds the destination's lock and owns the namespace.
 * @param pending what is to be there, or is to be sent still
 * @throws BackupdError what the destination throws, `storage-unavailable`
 */
export async function sweepUploads(
  pending: readonly CatalogEntry[],
  at: AtDestination,
  signal: AbortSignal,
): Promise<void> {
  const { context, destination } = at;
  const wanted = new Set(pending.map(({ manifest }) => `${manifest.source}/${manifest.id}`));
  for (const copy of await readPartialCopies(context.storage.dir, destination.name)) {
    if (copy.step === 'sending' && !wanted.has(`${copy.source}/${copy.id}`)) {
      await settle(copy, at, signal);
    }
  }
  await endAbandoned(pending, at, signal);
}

/** One that was sent whole, and whose record alone was left by a crash, stays. */
async function settle(copy: PartialCopy, at: AtDestination, signal: AbortSignal): Promise<void> {
  const { context, destination } = at;
  const entries = await context.catalog.entries(copy.source);
  const entry = entries.find(({ manifest }) => manifest.id === copy.id);
  if (entry !== undefined && hasCopy(entry, destination.name)) {
    await removePartialCopy(context.storage.dir, destination.name, copy);
  } else {
    await removeRemnant(copy, at, signal);
  }
}

async function endAbandoned(
  pending: readonly CatalogEntry[],
  { context, destination, facts }: AtDestination,
  signal: AbortSignal,
): Promise<void> {
  const { dir, namespace } = context.storage;
  const known = new Set((await readUploads(dir, destination.name)).map((each) => each.uploadId));
  const thereMs = Date.now() + (facts.clockAheadMs ?? 0);
  // Stores that tell of exact keys only are asked for those that may have been begun in an earlier life.
  const keys = pending.flatMap(({ manifest: { source, id, files } }) =>
    files.map(({ name }) => fileKey({ namespace, source, id }, name)),
  );
  for (const prefix of [`${namespace}/`, ...keys]) {
    for await (const upload of destination.listUploads(prefix, signal)) {
      const isOld = thereMs - Date.parse(upload.beganAt) > ABANDONED_MS;
      const isOurs = isArchiveName(parseKey(upload.key)?.name ?? '');
      if (isOurs && isOld && !known.has(upload.uploadId)) {
        await destination.abortUpload(upload, signal);
      }
    }
  }
}
