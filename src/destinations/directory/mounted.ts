import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type { DestinationMemory } from '../../core/destination.ts';
import { BackupdError } from '../../core/errors.ts';
import { hasErrorCode } from '../../core/system-error.ts';
import { syncFolder } from '../../files/sync-folder.ts';
import { ensureFolders, openBelow, ownFolder } from './files.ts';

/** A directory as it is configured. */
export interface DirectoryRoot {
  readonly name: string;
  readonly path: string;
  /** Where the backups are: another disk has to be another one than that. */
  readonly backupsDir: string;
  readonly memory: DestinationMemory;
}

/** Whether backupd has put something there before. @throws BackupdError where it is not what it was */
export async function isInUse(root: DirectoryRoot): Promise<boolean> {
  const folder = await statOrNull(root.path);
  if (folder === null || !folder.isDirectory()) {
    throw notMounted(root, folder === null ? 'there is no such directory' : 'it is no directory');
  }
  if ((await statOrNull(markerOf(root))) !== null) {
    return true;
  }
  if (await root.memory.wasUsed()) {
    throw notMounted(
      root,
      'it has not the mark that backupd left in it',
      `${MOUNT_HINT} Where a new disk takes the place of the old one, mark it: docker exec backupd sh -c 'mkdir -p "${ownFolder(root.path)}" && touch "${markerOf(root)}"'. All copies are sent to it then.`,
    );
  }
  return false;
}

/** Marks the directory where it is used for the first time. @throws BackupdError where it is none to write to */
export async function prepareToWrite(root: DirectoryRoot): Promise<void> {
  const isMarked = await isInUse(root);
  await checkDisk(root);
  if (!isMarked) {
    await ensureFolders(root.path, ownFolder(root.path));
    await using marker = await openBelow(root.path, markerOf(root), 'w');
    await marker.writeFile(`destination of backupd ${randomBytes(8).toString('hex')}\n`);
    await marker.sync();
    await syncFolder(ownFolder(root.path));
  }
  // After the mark: of one that is remembered and has no mark nobody could tell whether it is mounted.
  if (!(await root.memory.wasUsed())) {
    await root.memory.noteUse();
  }
}

function markerOf({ path }: DirectoryRoot): string {
  return ownFolder(path, 'marker');
}

async function checkDisk({ name, path, backupsDir }: DirectoryRoot): Promise<void> {
  const [there, here] = await Promise.all([stat(path), stat(backupsDir)]);
  if (there.dev === here.dev) {
    throw new BackupdError(
      'config-invalid',
      `destination "${name}": ${path} is not another place: it is on the same disk as ${backupsDir}`,
      {
        hint: 'Mount another disk or a NAS there. If one should be, look at whether it is mounted.',
      },
    );
  }
}

async function statOrNull(path: string): Promise<Awaited<ReturnType<typeof stat>> | null> {
  try {
    return await stat(path);
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) {
      return null;
    }
    throw error;
  }
}

const MOUNT_HINT = 'Mount the disk or the NAS there, on the host and in the container of backupd.';

function notMounted({ name, path }: DirectoryRoot, why: string, hint = MOUNT_HINT): BackupdError {
  return new BackupdError(
    'destination-unavailable',
    `destination "${name}": ${path} is not mounted: ${why}`,
    { hint },
  );
}
