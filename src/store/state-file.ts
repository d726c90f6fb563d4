import { join } from 'node:path';
import { BackupdError } from '../core/errors.ts';
import { isSourceName, STATE_FOLDER } from '../core/layout.ts';
import { ensureFolder, readJson, writeJson } from './atomic-file.ts';
import { readNames } from './folder.ts';
import { onStorage } from './storage-error.ts';

/** The folders of our own state that hold JSON files, one for each source or destination, or a folder of them. */
export const STATE_KINDS = [
  'alarms',
  'attempts',
  'copies',
  'destinations',
  'drill-schedule',
  'drills',
  'journals',
  'owed',
  'previous',
  'restores',
  'schedule',
  'sources',
  'tags',
  'uploads',
] as const;
export type StateKind = (typeof STATE_KINDS)[number];

/** Where the state of a kind is kept: `/backups/.backupd/attempts/db.json`. */
export function statePath(dir: string, kind: StateKind, ...name: readonly string[]): string {
  return `${join(dir, STATE_FOLDER, kind, ...name)}.json`;
}

/** Writes a state file atomically, its folders made where they are missing. @throws BackupdError */
export async function writeState(
  dir: string,
  place: { readonly kind: StateKind; readonly name: readonly string[] },
  value: unknown,
): Promise<void> {
  const path = statePath(dir, place.kind, ...place.name);
  await onStorage(path, async () => {
    let folder = join(dir, STATE_FOLDER);
    await ensureFolder(folder);
    for (const step of [place.kind, ...place.name.slice(0, -1)]) {
      folder = join(folder, step);
      await ensureFolder(folder);
    }
    await writeJson(path, value);
  });
}

/** All values in a folder of our state. Damaged files are left out here: the catalog reports them as problems. */
export async function readStates(folder: string): Promise<readonly unknown[]> {
  const files = (await onStorage(folder, () => readNames(folder))).filter(
    (file) => file.endsWith('.json') && !file.startsWith('.'),
  );
  const values: unknown[] = [];
  for (const file of files) {
    const stored = await readJson(join(folder, file));
    if (stored.state === 'present') {
      values.push(stored.value);
    }
  }
  return values;
}

/** The sources that have a file of this kind, readable or not. */
export async function sourcesWith(
  dir: string,
  kind: 'journals' | 'owed' | 'sources',
): Promise<readonly string[]> {
  const folder = join(dir, STATE_FOLDER, kind);
  const names = await onStorage(folder, () => readNames(folder));
  return names
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .filter((name) => isSourceName(name));
}

/** What to throw where a state file must be understood to go on. */
export function damagedState(path: string, message: string): BackupdError {
  return new BackupdError('storage-unavailable', `${path} is damaged: ${message}`, {
    hint: 'Look at the disk. Move the file away to go on without what it recorded.',
  });
}
