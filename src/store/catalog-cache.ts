import { statSync, type Stats } from 'node:fs';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { BackupdError } from '../core/errors.ts';
import { MANIFEST_FILE, STATE_FOLDER, type BackupId } from '../core/layout.ts';
import { FILE_MODE, FOLDER_MODE, writeFileAtomically } from './atomic-file.ts';
import type { Remembered } from './look-at-backup.ts';
import { receiptsFolder } from './receipts.ts';
import { storageError } from './storage-error.ts';
import type { Storage } from './storage.ts';

/** Of another one nothing is taken. */
const FORMAT = 1;
/** So many are compared without a break: a disk that is slow holds up nothing else for long. */
const AT_ONCE = 200;
/** A file that has more lines than this for each backup is written anew: each line costs every command that reads it. */
const MOST_LINES_EACH = 1.5;

/** A backup as some process read it. */
interface Line {
  readonly format: typeof FORMAT;
  readonly id: BackupId;
  /** Tells that its manifest is the very file that was read. */
  readonly manifest: string;
  readonly remembered: Remembered;
}

/** What was remembered of a source. */
export interface CachedSource {
  /** Those that are as they were. */
  readonly backups: ReadonlyMap<BackupId, Remembered>;
  /** Of all that is in the file. */
  readonly lines: number;
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
  const lines = await readLines(cachePath(dir, source));
  // The last one of each counts.
  const byId = new Map(lines.map((line) => [line.id, line]));
  const backups = new Map<BackupId, Remembered>();
  for (const [index, id] of ids.entries()) {
    const line = byId.get(id);
    if (line?.remembered.entry.manifest.namespace === namespace && isSame(dir, source, line)) {
      backups.set(id, line.remembered);
    }
    if (index % AT_ONCE === AT_ONCE - 1) {
      await turn();
    }
  }
  return { backups, lines: lines.length };
}

/** Remembers backups for processes to come: those that were read, or all that there are where the file has grown long. */
export async function writeCatalogCache(
  { dir }: Place,
  source: string,
  {
    lines,
    read,
    all,
  }: {
    readonly lines: number;
    readonly read: ReadonlyMap<BackupId, Remembered>;
    readonly all: ReadonlyMap<BackupId, Remembered>;
  },
): Promise<void> {
  const path = cachePath(dir, source);
  // Who read most of them had no use of the file; and two that begin at once would each append all.
  const isAnew = read.size > all.size / 2;
  const isLong = isAnew || lines + read.size > MOST_LINES_EACH * (all.size + 1);
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

/** Each of them in one line, with an empty one before: what a crash tore is apart from what follows. */
function toLines(dir: string, source: string, backups: ReadonlyMap<BackupId, Remembered>): string {
  const lines = [...backups].flatMap(([id, remembered]) => {
    const { folder, receipts } = remembered;
    const isSettled = folder.settled && receipts?.settled !== false;
    const manifest = isSettled ? proofOf(join(dir, source, id)) : null;
    const line: Line | null =
      manifest === null ? null : { format: FORMAT, id, manifest, remembered };
    return line === null ? [] : [JSON.stringify(line)];
  });
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}

async function readLines(path: string): Promise<readonly Line[]> {
  const text = (await tolerateNoCache(() => readFile(path, 'utf8'))) ?? '';
  const lines = text.split('\n').filter((line) => line !== '');
  // All at once is quicker; one that was torn must not cost the others.
  const parsed = parseJson(`[${lines.join(',')}]`) ?? lines.map((line) => parseJson(line));
  return (parsed as readonly unknown[]).filter((line) => isLine(line));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isLine(value: unknown): value is Line {
  const { format, id, manifest, remembered } = (value ?? {}) as Partial<Line>;
  return (
    format === FORMAT &&
    typeof id === 'string' &&
    typeof manifest === 'string' &&
    remembered?.entry.manifest.id === id
  );
}

/** Whether a backup is the one that was remembered, with the same receipts. */
function isSame(dir: string, source: string, { id, manifest, remembered }: Line): boolean {
  const path = join(dir, source, id);
  const receipts = lookAt(receiptsFolder(path));
  const changedAtMs = receipts === null ? null : receipts.mtimeMs;
  return (
    remembered.entry.manifest.source === source &&
    changedAtMs === (remembered.receipts?.changedAtMs ?? null) &&
    proofOf(path) === manifest
  );
}

/** What another file in the place of a manifest, or a change of it, does not have; null where there is none. */
function proofOf(backup: string): string | null {
  const stats = lookAt(join(backup, MANIFEST_FILE));
  return stats === null ? null : `${stats.ino}-${stats.size}-${stats.ctimeMs}`;
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
