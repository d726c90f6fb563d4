import type { Dirent } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BackupdError } from '../core/errors.ts';
import { isBackupId, isSourceName, STATE_FOLDER } from '../core/layout.ts';
import { isDamaged, type CatalogEntry } from '../core/catalog-entry.ts';
import { hasErrorCode } from '../core/system-error.ts';
import { readJson } from './atomic-file.ts';
import type { CatalogIndex } from './catalog-index.ts';
import { readEntries, readNames, readTree } from './folder.ts';
import { isJournalState } from './journal.ts';
import { readReceipts, receiptsFolder } from './receipts.ts';
import { isRemains } from './removal.ts';
import { STATE_KINDS, type StateKind } from './state-file.ts';
import { onStorage } from './storage-error.ts';

/** Something in the directory that is not as backupd left it, or not of backupd at all. */
export interface CatalogProblem {
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}

const FOREIGN = 'is not of backupd';
const FOREIGN_HINT =
  'It is neither used, counted nor removed. Move it elsewhere if it does not belong here.';

/** Everything in the directory that is damaged or foreign, for `check`: it is never used, counted or removed. */
export async function findProblems(
  dir: string,
  index: CatalogIndex,
): Promise<readonly CatalogProblem[]> {
  return onStorage(dir, async () => [
    ...(await findInDirectory(dir, index)),
    ...(await findInState(join(dir, STATE_FOLDER))),
  ]);
}

async function findInDirectory(
  dir: string,
  index: CatalogIndex,
): Promise<readonly CatalogProblem[]> {
  const problems: CatalogProblem[] = [];
  for (const entry of await readEntries(dir)) {
    const path = join(dir, entry.name);
    // Hidden names and lost+found are the file system's own, or those of tools that make snapshots.
    if (entry.name.startsWith('.') || entry.name === 'lost+found') {
      continue;
    }
    if (entry.isDirectory() && isSourceName(entry.name)) {
      problems.push(...(await findInSource(path, entry.name, index)));
    } else {
      problems.push({ path, message: FOREIGN, hint: FOREIGN_HINT });
    }
  }
  return problems;
}

function isOurs(entry: Dirent): boolean {
  return entry.isDirectory() && (isBackupId(entry.name) || isRemains(entry.name));
}

async function findInSource(
  folder: string,
  source: string,
  index: CatalogIndex,
): Promise<readonly CatalogProblem[]> {
  const entries = await readEntries(folder);
  if (entries.length > 0 && !entries.some(isOurs)) {
    return [{ path: folder, message: 'holds no backups', hint: FOREIGN_HINT }];
  }
  const foreign = entries
    .filter((entry) => !isOurs(entry) && !entry.name.startsWith('.'))
    .map(({ name }) => ({ path: join(folder, name), message: FOREIGN, hint: FOREIGN_HINT }));
  const { entries: backups, unreadable } = await index.list(source);
  const damaged = unreadable
    .filter(({ id }) => entries.some((entry) => entry.name === id && entry.isDirectory()))
    .map(({ id, error }) => ({
      path: join(folder, id),
      message: error.message,
      hint: (error instanceof BackupdError ? error.hint : null) ?? 'Look at the disk.',
    }));
  const within: CatalogProblem[] = [];
  for (const entry of backups) {
    within.push(...(await findInBackup(join(folder, entry.manifest.id), entry)));
  }
  return [...foreign, ...damaged, ...within];
}

const DAMAGED_HINT =
  'The daemon mends it by itself where a destination has a whole copy. Else restore another one (see "backupd list"); look at the disk. This one stays until retention removes it.';

/** Of a backup whose manifest is whole: what a look finds without reading its archives, and what reading them has found. */
async function findInBackup(path: string, entry: CatalogEntry): Promise<readonly CatalogProblem[]> {
  const problems = (await readReceipts(path)).damaged.map((file) => ({
    path: join(receiptsFolder(path), file),
    message: 'is no receipt',
    hint: 'What it said of the backup is lost; remove it. Verify the backup again.',
  }));
  const message = (await findWrongFile(path, entry)) ?? damageFound(entry);
  return message === null ? problems : [...problems, { path, message, hint: DAMAGED_HINT }];
}

/** The first file that is not there or has another size than recorded; null where all are as they should be. */
export async function findWrongFile(
  path: string,
  { manifest }: CatalogEntry,
): Promise<string | null> {
  for (const { name, storedBytes } of manifest.files) {
    try {
      const { size } = await stat(join(path, name));
      if (size !== storedBytes) {
        return `its ${name} has ${size} bytes, ${storedBytes} are recorded`;
      }
    } catch (error) {
      if (!hasErrorCode(error, 'ENOENT')) {
        throw error;
      }
      // Retention may have removed all of it meanwhile.
      return (await readNames(dirname(path))).includes(basename(path))
        ? `its ${name} is missing`
        : null;
    }
  }
  return null;
}

function damageFound(entry: CatalogEntry): string | null {
  const last = isDamaged(entry)
    ? entry.receipts.findLast((receipt) => receipt.type === 'damaged')
    : undefined;
  return last === undefined ? null : `was found damaged at ${last.at}: ${last.message}`;
}

/** Kinds of state of which each source or destination has a folder. */
const IN_FOLDERS: ReadonlySet<StateKind> = new Set(['copies', 'previous', 'uploads']);

/** A journal that is not understood stops its source, so there it is not enough that it parses. */
async function isDamagedState(kind: StateKind, entry: Dirent, path: string): Promise<boolean> {
  if (!entry.name.endsWith('.json')) {
    return false;
  }
  if (entry.isDirectory()) {
    // A source or a destination may have such a name.
    return !IN_FOLDERS.has(kind);
  }
  const stored = await readJson(path);
  const isJournal =
    kind !== 'journals' || stored.state !== 'present' || isJournalState(stored.value);
  return stored.state === 'damaged' || !isJournal;
}

/** State files that do not parse, and those that were set aside. */
async function findInState(state: string): Promise<readonly CatalogProblem[]> {
  const problems: CatalogProblem[] = [];
  for (const kind of STATE_KINDS) {
    for (const entry of await readTree(join(state, kind))) {
      const path = join(entry.parentPath, entry.name);
      if (entry.name.endsWith('.damaged')) {
        problems.push({
          path,
          message: 'was damaged and set aside',
          hint: 'What it recorded is no longer counted. Look at the disk, then remove it.',
        });
      } else if (await isDamagedState(kind, entry, path)) {
        problems.push({
          path,
          message: 'is damaged',
          hint: 'Look at the disk. Move it away to go on without what it recorded.',
        });
      }
    }
  }
  return problems;
}
