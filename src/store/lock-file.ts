import { open, rm, utimes, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { STATE_FOLDER } from '../core/layout.ts';
import type { Trigger } from '../core/manifest.ts';
import { hasErrorCode } from '../core/system-error.ts';
import { FILE_MODE, setMode } from './atomic-file.ts';
import { readNames } from './folder.ts';
import { onStorage } from './storage-error.ts';
import type { ProcessIdentity } from './process-identity.ts';

/** What a holder is doing. */
export interface LockRun {
  readonly id: string;
  readonly startedAt: string;
  readonly trigger: Trigger;
}

/** Who holds a lock, as the holder itself wrote it down. */
export interface LockHolder extends ProcessIdentity {
  /** What a person would call it: `daemon`, `backup db`. */
  readonly command: string;
  readonly hostname: string;
  /** ISO 8601, UTC. */
  readonly since: string;
  /** Null until the holder described what it runs. */
  readonly run: LockRun | null;
}

/** Where a lock is kept. */
export interface LockPlace {
  readonly folder: string;
  /** `source-db`, `daemon-backupd`: kinds of locks share no names. */
  readonly stem: string;
}

/** A lock as it was seen once. */
export interface Sighting {
  readonly generation: number;
  readonly held: boolean;
  /** Null where the record is not readable: just being written, torn by a power cut, or the disk was full. */
  readonly holder: LockHolder | null;
  /** Changes at every heartbeat; empty where nobody holds it. */
  readonly mark: string;
  /** When the holder's clock was at its last heartbeat; 0 where nobody holds it. */
  readonly beatAtMs: number;
}

/*
 * One lock is a row of generations, `source-db.7.json`, of which the highest counts. Whoever wants it creates the next
 * one, exclusively: of all who judged generation 7 to be dead or released exactly one becomes 8. Who comes too late, and
 * finds 8 free again because 9 has come and gone, sees the higher one and steps back; that is why the highest generation
 * is never removed. A released one has an empty file `source-db.7.released` beside it.
 */

export function lockPlace(dir: string, kind: string, name: string): LockPlace {
  return { folder: join(dir, STATE_FOLDER, 'locks'), stem: `${kind}-${name}` };
}

export function lockPath(place: LockPlace, generation: number): string {
  return join(place.folder, `${place.stem}.${generation}.json`);
}

function releasePath(place: LockPlace, generation: number): string {
  return join(place.folder, `${place.stem}.${generation}.released`);
}

interface Slot {
  readonly generation: number;
  readonly released: boolean;
  readonly file: string;
}

async function listSlots(place: LockPlace): Promise<readonly Slot[]> {
  const beginning = `${place.stem}.`;
  return (await readNames(place.folder)).flatMap((file) => {
    const match = file.startsWith(beginning)
      ? /^(\d+)\.(json|released)$/.exec(file.slice(beginning.length))
      : null;
    // A number that JavaScript cannot count on is none of ours.
    return match === null || !Number.isSafeInteger(Number(match[1]))
      ? []
      : [{ generation: Number(match[1]), released: match[2] === 'released', file }];
  });
}

/** The locks of a kind that are held, or were. */
export async function listLocks(dir: string, kind: string): Promise<readonly LockPlace[]> {
  const { folder } = lockPlace(dir, kind, '');
  const stems = (await readNames(folder)).flatMap((file) => {
    const stem = /^(.+)\.\d+\.(?:json|released)$/.exec(file)?.[1];
    return stem?.startsWith(`${kind}-`) === true ? [stem] : [];
  });
  return [...new Set(stems)].map((stem) => ({ folder, stem }));
}

/** Whether somebody else has taken the lock since. */
export async function isSuperseded(place: LockPlace, generation: number): Promise<boolean> {
  return (await listSlots(place)).some((slot) => slot.generation > generation);
}

/** The lock as it is now. @throws BackupdError `storage-unavailable` */
export async function lookAtLock(place: LockPlace): Promise<Sighting> {
  return onStorage(place.folder, async () => {
    for (;;) {
      const slots = await listSlots(place);
      const generation = Math.max(0, ...slots.map((slot) => slot.generation));
      if (
        generation === 0 ||
        slots.some((slot) => slot.released && slot.generation === generation)
      ) {
        return { generation, held: false, holder: null, mark: '', beatAtMs: 0 };
      }
      const record = await readRecord(lockPath(place, generation));
      if (record !== null) {
        return { generation, held: true, ...record };
      }
      // Gone since it was listed, so a higher one has come.
    }
  });
}

async function readRecord(
  path: string,
): Promise<{ holder: LockHolder | null; mark: string; beatAtMs: number } | null> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) {
      return null;
    }
    throw error;
  }
  await using opened = file;
  // Network file systems are only bound to show what is new to who opened the file: stat after open.
  const { mtimeMs } = await opened.stat();
  const text = await opened.readFile('utf8');
  return { holder: parseHolder(text), mark: `${mtimeMs} ${text}`, beatAtMs: mtimeMs };
}

function parseHolder(text: string): LockHolder | null {
  try {
    const value = JSON.parse(text) as Partial<LockHolder> | null;
    return typeof value?.command === 'string' && typeof value.pid === 'number'
      ? (value as LockHolder)
      : null;
  } catch {
    // Caught while it was written, or torn: the holder is then unknown and judged by its heartbeat.
    return null;
  }
}

/** Becomes the next generation after what was seen. @returns the generation, or null where somebody else was faster */
export async function claimLock(
  place: LockPlace,
  seen: Sighting,
  holder: LockHolder,
): Promise<number | null> {
  const generation = seen.generation + 1;
  const path = lockPath(place, generation);
  return onStorage(path, async () => {
    let file: FileHandle;
    try {
      file = await open(path, 'wx', FILE_MODE);
    } catch (error) {
      if (hasErrorCode(error, 'EEXIST')) {
        return null;
      }
      throw error;
    }
    try {
      await setMode(file);
      await file.writeFile(encodeHolder(holder));
    } catch (error) {
      // On a full disk the lock holds without saying by whom: `prune`, which frees space, needs it too.
      if (!hasErrorCode(error, 'ENOSPC', 'EDQUOT')) {
        await rm(path, { force: true });
        throw error;
      }
    } finally {
      await file.close();
    }
    const slots = await listSlots(place);
    if (slots.some((slot) => slot.generation > generation)) {
      await rm(path, { force: true });
      return null;
    }
    for (const { file: older } of slots.filter((slot) => slot.generation < generation)) {
      await rm(join(place.folder, older), { force: true });
    }
    return generation;
  });
}

/**
 * Writes a new record into a lock that is held, in place: a name that is replaced could for a moment be missing from
 * somebody's listing. Who reads it torn judges by the heartbeat. Errors are those of the file system; `ENOENT`: lost.
 */
export async function rewriteLock(
  place: LockPlace,
  generation: number,
  holder: LockHolder,
): Promise<void> {
  await using file = await open(lockPath(place, generation), 'r+');
  const record = Buffer.from(encodeHolder(holder));
  await file.write(record, 0, record.length, 0);
  await file.truncate(record.length);
}

/** A heartbeat; needs no space. Errors are those of the file system; `ENOENT`: lost. */
export async function touchLock(place: LockPlace, generation: number): Promise<void> {
  const now = new Date();
  await utimes(lockPath(place, generation), now, now);
}

/** Says that the lock is free; may be repeated. Errors are those of the file system. */
export async function releaseLock(place: LockPlace, generation: number): Promise<void> {
  if (await isSuperseded(place, generation)) {
    return;
  }
  const file = await open(releasePath(place, generation), 'w', FILE_MODE);
  await file.close();
}

function encodeHolder(holder: LockHolder): string {
  return `${JSON.stringify(holder)}\n`;
}
