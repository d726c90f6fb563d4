import { pacedFile } from '../archive/paced-file.ts';
import { checkStored } from '../archive/read-archive.ts';
import { toFailure } from '../core/errors.ts';
import type { ArchiveFile } from '../core/manifest.ts';
import { acquireLock } from '../store/lock.ts';
import { isArchived } from './bring-back.ts';
import { fetchFiles } from './fetch-backup.ts';
import { searchCopies, type Copy } from './find-copy.ts';
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
  const { storage, command, catalog, emit } = context;
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
  const damage = await findStoredDamage(copy, app, signal);
  if (damage === null) {
    return 'nothing-to-mend';
  }
  const { message, files } = damage;
  const request = { command: `${command}: mend ${id}`, waitMs: 0 };
  await using lock = await acquireLock(storage.dir, source, request, signal);
  const at = new Date().toISOString();
  // It may have been found in the content: that it is the stored bytes which differ is what the copy can make good. One
  // that was removed meanwhile takes no receipt, and does not come back.
  await catalog.addReceipt({ manifest: backup }, { type: 'damaged', at, depth: 'stored', message });
  emit({ type: 'copy-taken', source, id, destination: copy.destination.name, why: message });
  await fetchFiles(copy, files, context, AbortSignal.any([signal, lock.lost]));
  return 'mended';
}

interface StoredDamage {
  /** What is wrong first. */
  readonly message: string;
  readonly files: readonly ArchiveFile[];
}

/** In what the backup here differs from what was written, its manifest included; null: in nothing. */
async function findStoredDamage(
  { manifest }: Copy,
  { context: { catalog }, turn }: HealApp,
  signal: AbortSignal,
): Promise<StoredDamage | null> {
  const messages: string[] = [];
  const files: ArchiveFile[] = [];

  async function isWhole(look: () => Promise<unknown>): Promise<boolean> {
    try {
      await look();
      return true;
    } catch (error) {
      const { code, message } = toFailure(error);
      if (code !== 'archive-corrupt') {
        throw error;
      }
      messages.push(message);
      return false;
    }
  }

  await isWhole(() => catalog.manifest(manifest.source, manifest.id));
  for (const file of manifest.files) {
    const path = catalog.path(manifest, file.name);
    const at = turn === undefined ? path : pacedFile(path, turn);
    if (!(await isWhole(() => checkStored(at, file, signal)))) {
      files.push(file);
    }
  }
  const [message] = messages;
  return message === undefined ? null : { message, files };
}
