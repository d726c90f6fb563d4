import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupdError } from '../core/errors.ts';
import { DRAFT_SUFFIX, isBackupId, type BackupId } from '../core/layout.ts';
import { isPinned } from '../core/catalog-entry.ts';
import { syncFolder } from '../files/sync-folder.ts';
import { isLink, readFolderNames } from './folder.ts';
import { readReceipts } from './receipts.ts';
import { onStorage } from './storage-error.ts';

/** A backup whose removal has begun; renaming it so is what ends its existence. */
const REMOVED_SUFFIX = '.removed';

/**
 * Removes a backup: from one moment to the next it does not exist, then its files go. The caller holds the lock of the
 * source.
 * @returns false where it stays, since somebody pinned it meanwhile
 * @throws BackupdError `storage-unavailable`
 */
export async function removeBackup(
  dir: string,
  { source, id }: { readonly source: string; readonly id: BackupId },
): Promise<boolean> {
  const folder = join(dir, source, id);
  return onStorage(folder, async () => {
    await rename(folder, `${folder}${REMOVED_SUFFIX}`);
    return !(await finishRemoval(dir, source, `${id}${REMOVED_SUFFIX}`));
  });
}

/**
 * Pins are set without the lock: one that came before the rename is seen here, one after it finds no backup. So what is
 * pinned here is whole, and comes back.
 * @returns whether it came back
 */
async function finishRemoval(dir: string, source: string, name: string): Promise<boolean> {
  const parent = join(dir, source);
  const removed = join(parent, name);
  if (isPinned(await readReceipts(removed))) {
    await rename(removed, removed.slice(0, -REMOVED_SUFFIX.length));
    await syncFolder(parent);
    return true;
  }
  await syncFolder(parent);
  await rm(removed, { recursive: true, force: true });
  return false;
}

/**
 * Removes what earlier lives left half-done in the folder of a source: drafts, and removals that did not end. Touches
 * nothing else. The caller holds the lock of the source.
 * @returns the names of what was removed
 * @throws BackupdError `storage-unavailable`, also where that folder is a link
 */
export async function sweepSource(dir: string, source: string): Promise<readonly string[]> {
  const folder = join(dir, source);
  return onStorage(folder, async () => {
    if (await isLink(folder)) {
      throw new BackupdError('storage-unavailable', `${folder} is a link, and none is followed`, {
        hint: 'Move what it leads to here, or mount the other disk at this path.',
      });
    }
    const swept: string[] = [];
    for (const name of (await readFolderNames(folder)).filter(isRemains)) {
      if (name.endsWith(DRAFT_SUFFIX)) {
        await rm(join(folder, name), { recursive: true, force: true });
        swept.push(name);
      } else if (!(await finishRemoval(dir, source, name))) {
        swept.push(name);
      }
    }
    return swept;
  });
}

/** Whether a folder is named as a draft, or as a removal that has begun. */
export function isRemains(name: string): boolean {
  const ending = [DRAFT_SUFFIX, REMOVED_SUFFIX].find((suffix) => name.endsWith(suffix));
  return ending !== undefined && isBackupId(name.slice(0, -ending.length));
}
