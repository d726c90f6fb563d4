import type { Journal, JournalState } from '../core/restorer.ts';
import { readJson, removeFile } from './atomic-file.ts';
import { damagedState, statePath, writeState } from './state-file.ts';

/** The journal of a source: what a restore or an undo was about to do. Who holds the source's lock owns it. */
export function journal(dir: string, source: string): Journal & { clear(): Promise<void> } {
  return {
    write: (state) => writeState(dir, { kind: 'journals', name: [source] }, state),
    clear: () => removeFile(statePath(dir, 'journals', source)),
  };
}

/**
 * What an earlier life was about to do with a source; null where nothing was left half-done.
 * @throws BackupdError `storage-unavailable` where there is a journal that cannot be read: to go on without it could
 * leave a swap half-done
 */
export async function readJournal(dir: string, source: string): Promise<JournalState | null> {
  const path = statePath(dir, 'journals', source);
  const stored = await readJson(path);
  if (stored.state === 'absent') {
    return null;
  }
  if (stored.state === 'damaged') {
    throw damagedState(path, stored.message);
  }
  if (!isJournalState(stored.value) || stored.value.source !== source) {
    throw damagedState(path, `it is no journal of "${source}"`);
  }
  return stored.value;
}

/** Whether this is what a journal holds. */
export function isJournalState(value: unknown): value is JournalState {
  const state = value as Partial<JournalState> | null;
  return typeof state?.step === 'string' && typeof state.source === 'string';
}

/** Whether there is a journal, readable or not. */
export async function hasJournal(dir: string, source: string): Promise<boolean> {
  return (await readJson(statePath(dir, 'journals', source))).state !== 'absent';
}
