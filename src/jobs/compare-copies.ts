import { hasCopy, sentFiles } from '../core/copies.ts';
import { BackupdError } from '../core/errors.ts';
import type { BackupId } from '../core/layout.ts';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import { parseKey } from '../core/remote-keys.ts';
import type { AtDestination } from './at-destination.ts';
import { mirrorReceipts } from './send-backup.ts';

/** What lies in the folder of a backup there, by names. */
type Folder = ReadonlyMap<string, SeenObject>;

interface SeenObject {
  readonly bytes: number;
  readonly etag: string;
}

/**
 * Compares what a destination holds, by one listing, with what was sent there: a copy that is missing or altered is
 * written down as lost, one that is there gets the receipts that came later.
 * @param isNew whether nothing there belonged to the namespace
 * @throws BackupdError what the destination throws, `no-space`, `storage-unavailable`
 */
export async function compareCopies(
  entries: readonly CatalogEntry[],
  { isNew, ...at }: AtDestination & { readonly isNew: boolean },
  signal: AbortSignal,
): Promise<void> {
  const copied = entries.filter((entry) => hasCopy(entry, at.destination.name));
  if (copied.length === 0) {
    return;
  }
  const folders = await listFolders(copied, at, signal);
  for (const entry of copied) {
    const folder = folders.get(folderOf(entry.manifest)) ?? new Map<string, SeenObject>();
    const difference = findDifference(entry, folder, at);
    if (difference === null) {
      await mirrorReceipts(entry, folder, at, signal);
    } else {
      await recordLoss(entry, isNew && folder.size === 0 ? NOTHING_THERE : difference, at);
    }
  }
}

const NOTHING_THERE =
  'nothing of this namespace was there: it is another bucket, prefix or directory than before, or it was emptied';

interface BackupRef {
  readonly source: string;
  readonly id: BackupId;
}

function folderOf({ source, id }: BackupRef): string {
  return `${source}/${id}`;
}

/** Only those of the backups that are compared: what else is there may be a thousand times as much. */
async function listFolders(
  entries: readonly CatalogEntry[],
  { context, destination }: AtDestination,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Folder>> {
  const folders = new Map<string, Map<string, SeenObject>>(
    entries.map(({ manifest }) => [folderOf(manifest), new Map()]),
  );
  const prefix = `${context.storage.namespace}/`;
  for await (const { key, bytes, etag } of destination.list(prefix, signal)) {
    const parsed = parseKey(key);
    if (parsed !== null) {
      folders.get(folderOf(parsed))?.set(parsed.name, { bytes, etag });
    }
  }
  return folders;
}

/** Null: all is there as it was when it was sent. */
function findDifference(
  entry: CatalogEntry,
  folder: Folder,
  { destination }: AtDestination,
): string | null {
  for (const { name, bytes, etag } of sentFiles(entry, destination.name)) {
    const there = folder.get(name);
    if (there === undefined) {
      return `its ${name} is missing there`;
    }
    if (there.bytes !== bytes) {
      return `its ${name} has ${there.bytes} bytes there, ${bytes} were sent`;
    }
    if (there.etag !== etag) {
      return `its ${name} was altered or replaced there`;
    }
  }
  return null;
}

async function recordLoss(
  entry: CatalogEntry,
  message: string,
  { context, destination }: AtDestination,
): Promise<void> {
  const { source, id } = entry.manifest;
  const at = new Date().toISOString();
  try {
    await context.catalog.addReceipt(entry, {
      type: 'lost',
      at,
      destination: destination.name,
      message,
    });
  } catch (error) {
    // Retention removed it meanwhile: there is nothing to send again.
    if (error instanceof BackupdError && error.code === 'backup-not-found') {
      return;
    }
    throw error;
  }
  context.emit({ type: 'copy-lost', source, id, destination: destination.name, message });
}
