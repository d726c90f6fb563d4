import { rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BackupdError } from '../core/errors.ts';
import { DRAFT_SUFFIX, MANIFEST_FILE, type BackupId } from '../core/layout.ts';
import type { Manifest } from '../core/manifest.ts';
import { reach } from '../core/steps.ts';
import { hasErrorCode } from '../core/system-error.ts';
import { syncFolder } from '../files/sync-folder.ts';
import { ensureFolder, writeJson } from './atomic-file.ts';
import { onStorage } from './storage-error.ts';

/** A backup that is being written; disposing it removes what was not committed. */
export interface Draft extends AsyncDisposable {
  /** Where to write a file of the backup; who writes it also syncs it. */
  path(fileName: string): string;
  /**
   * Makes the draft a backup, durable when it resolves: what is there after a crash at any moment is either no backup
   * or the whole one. @throws BackupdError `no-space`, `storage-unavailable`; then there is no backup
   */
  commit(manifest: Manifest): Promise<void>;
}

/** Begins a backup. The caller holds the lock of the source. @throws BackupdError `no-space`, `storage-unavailable` */
export async function openDraft(dir: string, source: string, id: BackupId): Promise<Draft> {
  const parent = join(dir, source);
  const final = join(parent, id);
  const folder = `${final}${DRAFT_SUFFIX}`;
  await onStorage(folder, async () => {
    await ensureFolder(parent);
    if ((await exists(final)) || !(await ensureFolder(folder))) {
      throw new BackupdError('storage-unavailable', `${final} is there already`, {
        hint: 'Two backups of one source began in the same second. Run it again.',
      });
    }
  });
  return {
    path: (fileName) => join(folder, fileName),
    async commit(manifest) {
      await onStorage(folder, () => commitFolder(folder, final, manifest));
    },
    async [Symbol.asyncDispose]() {
      try {
        await rm(folder, { recursive: true, force: true });
      } catch {
        // The failure that brought us here counts more than this one, and the next run sweeps.
      }
    },
  };
}

/** Makes a folder that holds the files of a backup that backup, see {@link Draft}. Errors are those of the file system. */
export async function commitFolder(
  folder: string,
  final: string,
  manifest: Manifest,
): Promise<void> {
  await checkFiles(folder, manifest);
  await syncFolder(folder);
  await writeJson(join(folder, MANIFEST_FILE), manifest);
  reach('manifest-written');
  await publish(folder, final);
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) {
      return false;
    }
    throw error;
  }
}

/** A manifest must not promise what is not there. */
export async function checkFiles(folder: string, manifest: Manifest): Promise<void> {
  for (const { name, storedBytes } of manifest.files) {
    const { size } = await stat(join(folder, name));
    if (size !== storedBytes) {
      throw new BackupdError(
        'storage-unavailable',
        `${join(folder, name)} has ${size} bytes, ${storedBytes} were written`,
        { hint: 'Something else changed it, or the disk lost it. Look at the disk.' },
      );
    }
  }
}

async function publish(folder: string, final: string): Promise<void> {
  await rename(folder, final);
  try {
    await syncFolder(dirname(final));
  } catch (error) {
    // Visible but perhaps not durable, and the run is about to be reported as failed: it must not be seen either.
    await rename(final, folder);
    throw error;
  }
}
