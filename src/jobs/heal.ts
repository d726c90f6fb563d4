import { checkStored } from '../archive/read-archive.ts';
import { toFailure } from '../core/errors.ts';
import { acquireLock } from '../store/lock.ts';
import { findArchived } from './bring-back.ts';
import type { JobContext } from './context.ts';
import { fetchBackup } from './fetch-backup.ts';
import { findCopyOf } from './find-copy.ts';
import type { BackupRef } from './verify.ts';

/**
 * `mended`: it is whole again as it is stored. `no-copy`: no destination has a whole one, or could be asked. `archived`:
 * there is one, which would have to be asked back first. `nothing-to-mend`: it is stored as it was written, so that a copy
 * would be no better.
 */
export type Healing = 'mended' | 'no-copy' | 'archived' | 'nothing-to-mend';

/**
 * Mends a backup here that was found damaged, from a copy: only what differs is fetched, and nothing that costs extra.
 * @throws BackupdError `locked` where somebody works with the source, `no-space`, `storage-unavailable`, what the
 * destination throws, or the signal's reason
 */
export async function healBackup(
  backup: BackupRef,
  context: JobContext,
  signal: AbortSignal,
): Promise<Healing> {
  const { storage, command, catalog, emit } = context;
  const { source, id } = backup;
  const request = { command: `${command}: mend ${id}`, waitMs: 0 };
  await using lock = await acquireLock(storage.dir, source, request, signal);
  const whole = AbortSignal.any([signal, lock.lost]);
  const message = await findStoredDamage(backup, context, whole);
  if (message === null) {
    return 'nothing-to-mend';
  }
  const copy = await findCopyOf(backup, context, whole);
  if (copy === null) {
    return 'no-copy';
  }
  if ((await findArchived(copy, whole)).length > 0) {
    return 'archived';
  }
  const at = new Date().toISOString();
  // It may have been found in the content: that it is the stored bytes which differ is what the copy can make good.
  await catalog.addReceipt({ manifest: backup }, { type: 'damaged', at, depth: 'stored', message });
  emit({ type: 'copy-taken', source, id, destination: copy.destination.name, why: message });
  await fetchBackup(copy, context, whole);
  return 'mended';
}

/** In what it differs from what was written, its manifest included; null: in nothing. */
async function findStoredDamage(
  { source, id }: BackupRef,
  { catalog }: JobContext,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const manifest = await catalog.manifest(source, id);
    for (const file of manifest.files) {
      await checkStored(catalog.path(manifest, file.name), file, signal);
    }
    return null;
  } catch (error) {
    const { code, message } = toFailure(error);
    if (code !== 'archive-corrupt') {
      throw error;
    }
    return message;
  }
}
