import type { LastRestore } from '../core/status.ts';
import { readJson } from './atomic-file.ts';
import { statePath, writeState } from './state-file.ts';

/** Remembers how the last restore or undo of a source ended. @throws BackupdError `no-space`, `storage-unavailable` */
export async function recordRestore(
  dir: string,
  source: string,
  restore: LastRestore,
): Promise<void> {
  await writeState(dir, { kind: 'restores', name: [source] }, restore);
}

/** Null where none is recorded; a damaged record is reported by the catalog and counts as none. */
export async function readLastRestore(dir: string, source: string): Promise<LastRestore | null> {
  const stored = await readJson(statePath(dir, 'restores', source));
  return stored.state === 'present' && isLastRestore(stored.value) ? stored.value : null;
}

function isLastRestore(value: unknown): value is LastRestore {
  const { at, outcome } = (value ?? {}) as Partial<LastRestore>;
  return typeof at === 'string' && typeof outcome === 'string';
}
