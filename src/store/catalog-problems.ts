import type { Dirent } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BackupdError } from '../core/errors.ts';
import { isBackupId, isSourceName, STATE_FOLDER } from '../core/layout.ts';
import { isDamaged, type CatalogEntry } from '../core/catalog-entry.ts';
import { hasErrorCode } from '../core/system-error.ts';
import { readJson } from './atomic-file.ts';
import { forEachOf, isDue, type CatalogIndex } from './catalog-index.ts';
import { readEntries, readNames, readTree } from './folder.ts';
import { isJournalState } from './journal.ts';
import { receiptsFolder } from './receipts.ts';
import { isRemains } from './removal.ts';
import { STATE_KINDS, type StateKind } from './state-file.ts';
import { onStorage, storageError } from './storage-error.ts';

/** Something in the directory that is not as backupd left it, or not of backupd at all. */
export interface CatalogProblem {
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}

const FOREIGN = 'is not of backupd';
const FOREIGN_HINT =
  'It is neither used, counted nor removed. Move it elsewhere if it does not belong here.';

/** Finds everything in the directory that is damaged or foreign: it is never used, counted or removed. */
export type ProblemFinder = () => Promise<readonly CatalogProblem[]>;

/** Remembers, for as long as its process lives, what it saw of each backup: only some are looked at anew each time. */
export function problemFinder(dir: string, index: CatalogIndex): ProblemFinder {
  const glances: Glances = { index, bySource: new Map() };
  return async () =>
    onStorage(dir, async () => [
      ...(await findInDirectory(dir, glances)),
      ...(await findInState(join(dir, STATE_FOLDER))),
    ]);
}

interface Glances {
  readonly index: CatalogIndex;
  readonly bySource: Map<string, Seen>;
}

/** What was seen of a source. */
interface Seen {
  /** How often it was looked at. */
  turn: number;
  /** What was in its folder, and what is wrong there. */
  content: readonly Dirent[] | null;
  foreign: readonly CatalogProblem[];
  /** What is wrong with a file of a backup, by what the index remembers of it: another object once it was changed. */
  readonly wrongFiles: WeakMap<CatalogEntry, { readonly problem: CatalogProblem | null }>;
}

async function findInDirectory(dir: string, glances: Glances): Promise<readonly CatalogProblem[]> {
  const problems: CatalogProblem[] = [];
  for (const entry of await readEntries(dir)) {
    const path = join(dir, entry.name);
    // Hidden names and lost+found are the file system's own, or those of tools that make snapshots.
    if (entry.name.startsWith('.') || entry.name === 'lost+found') {
      continue;
    }
    if (entry.isDirectory() && isSourceName(entry.name)) {
      const { name } = entry;
      problems.push(...(await orUnreadable(path, () => findInSource(path, name, glances))));
    } else {
      problems.push({ path, message: FOREIGN, hint: FOREIGN_HINT });
    }
  }
  return problems;
}

/** What a look found; where the file system refuses it, that: one that cannot be read keeps no other from being looked at. */
async function orUnreadable(
  path: string,
  look: () => Promise<readonly CatalogProblem[]>,
): Promise<readonly CatalogProblem[]> {
  try {
    return await look();
  } catch (error) {
    const failure = storageError(error, path);
    if (!(failure instanceof BackupdError)) {
      throw failure;
    }
    return [toProblem(path, failure)];
  }
}

function toProblem(path: string, error: Error): CatalogProblem {
  const hint = error instanceof BackupdError ? error.hint : null;
  // It is told with its path.
  const message = error.message.replace(`${path} `, '');
  return { path, message, hint: hint ?? 'Look at the disk.' };
}

function isFolder(entry: Dirent): boolean {
  return entry.isDirectory();
}

function isOurs(entry: Dirent): boolean {
  return entry.isDirectory() && (isBackupId(entry.name) || isRemains(entry.name));
}

async function findInSource(
  folder: string,
  source: string,
  { index, bySource }: Glances,
): Promise<readonly CatalogProblem[]> {
  const listing = await index.list(source);
  const seen = bySource.get(source) ?? {
    turn: 0,
    content: null,
    foreign: [],
    wrongFiles: new WeakMap(),
  };
  bySource.set(source, seen);
  if (seen.content !== listing.content) {
    seen.content = listing.content;
    seen.foreign = findForeign(folder, listing.content);
  }
  const { entries } = listing;
  await forEachOf(entries, async (entry, place) => {
    if (!seen.wrongFiles.has(entry) || isDue(place, entries.length, seen.turn)) {
      const path = join(folder, entry.manifest.id);
      const [problem = null] = await orUnreadable(path, () => glanceAt(path, entry));
      seen.wrongFiles.set(entry, { problem });
    }
  });
  seen.turn += 1;
  const folders = new Set(listing.content.filter(isFolder).map(({ name }) => name));
  return [
    ...seen.foreign,
    ...listing.unreadable
      .filter(({ id }) => folders.has(id))
      .map(({ id, error }) => toProblem(join(folder, id), error)),
    ...entries.flatMap((entry) =>
      describeBackup(join(folder, entry.manifest.id), entry, {
        wrongFile: seen.wrongFiles.get(entry)?.problem ?? null,
        damagedReceipts: listing.damagedReceipts.get(entry.manifest.id) ?? [],
      }),
    ),
  ];
}

function findForeign(folder: string, content: readonly Dirent[]): readonly CatalogProblem[] {
  if (content.length > 0 && !content.some(isOurs)) {
    return [{ path: folder, message: 'holds no backups', hint: FOREIGN_HINT }];
  }
  return content
    .filter((entry) => !isOurs(entry) && !entry.name.startsWith('.'))
    .map(({ name }) => ({ path: join(folder, name), message: FOREIGN, hint: FOREIGN_HINT }));
}

const DAMAGED_HINT =
  'The daemon mends it by itself where a destination has a whole copy. Else restore another one (see "backupd list"); look at the disk. This one stays until retention removes it.';

/** Of a backup whose manifest is whole: what a look finds without reading its archives, and what reading them has found. */
function describeBackup(
  path: string,
  entry: CatalogEntry,
  found: {
    readonly wrongFile: CatalogProblem | null;
    readonly damagedReceipts: readonly string[];
  },
): readonly CatalogProblem[] {
  const problems = found.damagedReceipts.map((file) => ({
    path: join(receiptsFolder(path), file),
    message: 'is no receipt',
    hint: 'What it said of the backup is lost; remove it. Verify the backup again.',
  }));
  const message = damageFound(entry);
  const damage = message === null ? null : { path, message, hint: DAMAGED_HINT };
  return [...problems, ...[found.wrongFile ?? damage].filter((problem) => problem !== null)];
}

async function glanceAt(path: string, entry: CatalogEntry): Promise<readonly CatalogProblem[]> {
  const message = await findWrongFile(path, entry);
  return message === null ? [] : [{ path, message, hint: DAMAGED_HINT }];
}

/**
 * The first file that is not there or has another size than recorded; null where all are as they should be.
 * @throws what the file system says of one that cannot be looked at
 */
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

/** State files that do not parse, those that were set aside, and what cannot be read. */
async function findInState(state: string): Promise<readonly CatalogProblem[]> {
  const problems: CatalogProblem[] = [];
  for (const kind of STATE_KINDS) {
    const folder = join(state, kind);
    problems.push(...(await orUnreadable(folder, () => findInKind(kind, folder))));
  }
  return problems;
}

async function findInKind(kind: StateKind, folder: string): Promise<readonly CatalogProblem[]> {
  const problems: CatalogProblem[] = [];
  for (const entry of await readTree(folder)) {
    const path = join(entry.parentPath, entry.name);
    problems.push(...(await orUnreadable(path, () => lookAtState(kind, entry, path))));
  }
  return problems;
}

async function lookAtState(
  kind: StateKind,
  entry: Dirent,
  path: string,
): Promise<readonly CatalogProblem[]> {
  if (entry.name.endsWith('.damaged')) {
    return [
      {
        path,
        message: 'was damaged and set aside',
        hint: 'What it recorded is no longer counted. Look at the disk, then remove it.',
      },
    ];
  }
  const hint = 'Look at the disk. Move it away to go on without what it recorded.';
  const isDamaged = await isDamagedState(kind, entry, path);
  return isDamaged ? [{ path, message: 'is damaged', hint }] : [];
}
