import { statSync, type Stats } from 'node:fs';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Receipt } from '../core/catalog-entry.ts';
import { BackupdError } from '../core/errors.ts';
import { MANIFEST_FILE, RECEIPTS_FOLDER, STATE_FOLDER, type BackupId } from '../core/layout.ts';
import type { ManifestSummary } from '../core/manifest.ts';
import { FILE_MODE, FOLDER_MODE, writeFileAtomically } from './atomic-file.ts';
import type { Remembered } from './look-at-backup.ts';
import { storageError } from './storage-error.ts';
import type { Storage } from './storage.ts';

/** Of another one nothing is taken. */
const FORMAT = 2;
/** So many are compared without a break: a disk that is slow holds up nothing else for long. */
const AT_ONCE = 200;
/** A file that has more rows than this for each backup is written anew: each costs every command that reads it. */
const MOST_ROWS_EACH = 1.5;

/**
 * What one process read, in one line. Most of a manifest is that of the backup before and is written once: that takes half
 * of the time to read, and of the memory (measured).
 */
interface Line {
  readonly format: typeof FORMAT;
  readonly rows: readonly Row[];
}

/** A backup as some process read it; all that is no string, number or null is shared where it is the same. */
type Row = readonly [
  /** The fields of its manifest that are not as in the row before. All rows of a line have the same fields. */
  changed: Partial<ManifestSummary>,
  proof: Proof,
  folderChangedAtMs: number,
  /** Null where it has no receipts. */
  receiptsChangedAtMs: number | null,
  receipts: readonly Receipt[],
  damaged: readonly string[],
];

/** What another file in the place of a manifest, or a change of it, does not have. */
type Proof = readonly [inode: number, bytes: number, changedAtMs: number];

/** A backup of a line. */
interface Known {
  readonly proof: Proof;
  readonly remembered: Remembered;
}

/** What was remembered of a source. */
export interface CachedSource {
  /** Those that are as they were. */
  readonly backups: ReadonlyMap<BackupId, Remembered>;
  /** Of all that is in the file. */
  readonly rows: number;
}

type Place = Pick<Storage, 'dir' | 'namespace'>;

/**
 * What processes before this one read of the backups of a source and is still the same. To look at a backup takes a tenth of
 * reading it; to a command that lists ten thousand it is the difference of seconds.
 */
export async function readCatalogCache(
  { dir, namespace }: Place,
  source: string,
  ids: readonly BackupId[],
): Promise<CachedSource> {
  const known = await readRows(cachePath(dir, source));
  // The last one of each counts.
  const byId = new Map(known.map((one) => [one.remembered.entry.manifest.id, one]));
  const backups = new Map<BackupId, Remembered>();
  const folder = join(dir, source);
  for (const [index, id] of ids.entries()) {
    const one = byId.get(id);
    const manifest = one?.remembered.entry.manifest;
    const isOurs = manifest?.namespace === namespace && manifest.source === source;
    if (one !== undefined && isOurs && isSame(`${folder}/${id}`, one)) {
      backups.set(id, one.remembered);
    }
    if (index % AT_ONCE === AT_ONCE - 1) {
      await turn();
    }
  }
  return { backups, rows: known.length };
}

/** Remembers backups for processes to come: those that were read, or all that there are where the file has grown long. */
export async function writeCatalogCache(
  { dir }: Place,
  source: string,
  {
    rows,
    read,
    all,
  }: {
    readonly rows: number;
    readonly read: ReadonlyMap<BackupId, Remembered>;
    readonly all: ReadonlyMap<BackupId, Remembered>;
  },
): Promise<void> {
  const path = cachePath(dir, source);
  // Who read most of them had no use of the file; and two that begin at once would each append all.
  const isAnew = read.size > all.size / 2;
  const isLong = isAnew || rows + read.size > MOST_ROWS_EACH * (all.size + 1);
  const text = toLines(dir, source, isLong ? all : read);
  if (text !== '') {
    await tolerateNoCache(async () => {
      await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
      // Several processes may append at once: it is one write.
      await (isLong
        ? writeFileAtomically(path, text)
        : appendFile(path, text, { mode: FILE_MODE }));
    });
  }
}

function cachePath(dir: string, source: string): string {
  return join(dir, STATE_FOLDER, 'catalog', `${source}.jsonl`);
}

/** With an empty line before: what a crash tore is apart from what follows. */
function toLines(dir: string, source: string, backups: ReadonlyMap<BackupId, Remembered>): string {
  const lines: { readonly fields: string; readonly rows: Row[] }[] = [];
  let before: Partial<ManifestSummary> = {};
  for (const [id, remembered] of backups) {
    const proof = isSettled(remembered) ? proofOf(join(dir, source, id)) : null;
    if (proof !== null) {
      const { manifest } = remembered.entry;
      const fields = Object.keys(manifest).toSorted().join(' ');
      let last = lines.at(-1);
      if (last?.fields !== fields) {
        last = { fields, rows: [] };
        lines.push(last);
        before = {};
      }
      last.rows.push(toRow(remembered, proof, before));
      before = manifest;
    }
  }
  const texts = lines.map(({ rows }) => JSON.stringify({ format: FORMAT, rows } satisfies Line));
  return texts.length === 0 ? '' : `\n${texts.join('\n')}\n`;
}

/** Whether its folders tell whether they are still as they were. */
function isSettled({ folder, receipts }: Remembered): boolean {
  return folder.settled && receipts?.settled !== false;
}

function toRow(
  { entry: { manifest, receipts: facts }, folder, receipts, damaged }: Remembered,
  proof: Proof,
  before: Partial<ManifestSummary>,
): Row {
  const changed = Object.entries(manifest).filter(
    ([field, value]) =>
      JSON.stringify(value) !== JSON.stringify(before[field as keyof ManifestSummary]),
  );
  const changedAtMs = receipts?.changedAtMs ?? null;
  return [Object.fromEntries(changed), proof, folder.changedAtMs, changedAtMs, facts, damaged];
}

async function readRows(path: string): Promise<readonly Known[]> {
  const text = (await tolerateNoCache(() => readFile(path, 'utf8'))) ?? '';
  return text
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => parseLine(line));
}

function parseLine(text: string): readonly Known[] {
  const known: Known[] = [];
  let before: Partial<ManifestSummary> = {};
  for (const [changed, proof, folderAtMs, receiptsAtMs, receipts, damaged] of rowsOf(text)) {
    const manifest = { ...before, ...changed } as ManifestSummary;
    known.push({
      proof,
      remembered: {
        entry: { manifest, receipts },
        folder: { changedAtMs: folderAtMs, settled: true },
        receipts: receiptsAtMs === null ? null : { changedAtMs: receiptsAtMs, settled: true },
        damaged,
      },
    });
    before = manifest;
  }
  return known;
}

/** None where it was torn by a crash, or is not of this format: a row means nothing without those before it. */
function rowsOf(text: string): readonly Row[] {
  try {
    const line = JSON.parse(text) as Partial<Line> | null;
    return line?.format === FORMAT && isRows(line.rows) ? line.rows : [];
  } catch {
    return [];
  }
}

function isRows(value: unknown): value is readonly Row[] {
  return Array.isArray(value) && value.every((row) => Array.isArray(row));
}

/** Whether a backup is the one that was remembered, with the same receipts. */
function isSame(path: string, { proof, remembered }: Known): boolean {
  const receipts = lookAt(`${path}/${RECEIPTS_FOLDER}`);
  const changedAtMs = receipts === null ? null : receipts.mtimeMs;
  const now = changedAtMs === (remembered.receipts?.changedAtMs ?? null) ? proofOf(path) : null;
  return now?.every((value, index) => value === proof[index]) ?? false;
}

/** Null where there is no manifest. */
function proofOf(backup: string): Proof | null {
  const stats = lookAt(`${backup}/${MANIFEST_FILE}`);
  return stats === null ? null : [stats.ino, stats.size, stats.ctimeMs];
}

/** Null where nothing can be seen; to look at ten thousand one after the other in this thread takes less than in others. */
function lookAt(path: string): Stats | null {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null;
  }
}

/** What is not remembered, or cannot be on a full disk or a mount that is only read, is read again. */
async function tolerateNoCache<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    const failure = storageError(error, '');
    if (failure instanceof BackupdError) {
      return null;
    }
    throw error;
  }
}
