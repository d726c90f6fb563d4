import { toFailure } from '../core/errors.ts';
import { acquireLock } from '../store/lock.ts';
import { isArchived } from './bring-back.ts';
import type { JobContext } from './context.ts';
import { fetchFiles, findDamaged, recordStored } from './fetch-backup.ts';
import { searchCopies } from './find-copy.ts';
import type { BackupRef, VerifyApp } from './verify.ts';

/**
 * `mended`: it is whole again as it is stored. `no-copy`: no destination has a whole one; `not-asked`: none of those that
 * could be asked. `archived`: there is one, which would have to be asked back first. `nothing-to-mend`: it is stored as it
 * was written, so that a copy would be no better.
 */
export type Healing = 'mended' | 'no-copy' | 'not-asked' | 'archived' | 'nothing-to-mend';

type HealApp = Pick<VerifyApp, 'context' | 'turn'>;

/**
 * Mends a backup here that was found damaged, from a copy: only what differs is fetched, and nothing that costs extra. The
 * source is locked while that is done, not while it is looked for: that takes as long as reading the backup, and without a copy it is not read.
 * @throws BackupdError `locked` where somebody works with the source, `no-space`, `storage-unavailable`, what the
 * destination throws, or the signal's reason
 */
export async function healBackup(
  backup: BackupRef,
  app: HealApp,
  signal: AbortSignal,
): Promise<Healing> {
  const { context } = app;
  const { storage, command, emit } = context;
  const { source, id } = backup;
  const { copy, failures } = await searchCopies(
    source,
    (entries) => entries.find(({ manifest }) => manifest.id === id) ?? null,
    context,
    signal,
  );
  if (copy === null) {
    return failures.length === 0 ? 'no-copy' : 'not-asked';
  }
  if (await isArchived(copy, signal)) {
    return 'archived';
  }
  const ofManifest = await findManifestDamage(backup, context);
  const damaged = await findDamaged(copy, app, signal);
  const message = ofManifest ?? damaged[0]?.message ?? null;
  if (message === null) {
    return 'nothing-to-mend';
  }
  const request = { command: `${command}: mend ${id}`, waitMs: 0 };
  await using lock = await acquireLock(storage.dir, source, request, signal);
  // One that was removed meanwhile takes no receipt, and does not come back.
  await recordStored(backup, message, context);
  emit({ type: 'copy-taken', source, id, destination: copy.destination.name, why: message });
  const files = damaged.map(({ file }) => file);
  await fetchFiles(copy, files, context, AbortSignal.any([signal, lock.lost]));
  return 'mended';
}

/** What is wrong with the manifest here; null: nothing. */
async function findManifestDamage(
  { source, id }: BackupRef,
  { catalog }: JobContext,
): Promise<string | null> {
  try {
    await catalog.manifest(source, id);
    return null;
  } catch (error) {
    const { code, message } = toFailure(error);
    if (code !== 'archive-corrupt') {
      throw error;
    }
    return message;
  }
}
