import type { CommandTarget, HaltedContainer } from '../core/halts.ts';
import { readJson, removeFile } from './atomic-file.ts';
import { damagedState, statePath, writeState } from './state-file.ts';

/**
 * What a run owes to the containers around it, whatever becomes of it: written before it is taken on, removed when it is
 * settled. Who holds the source's lock owns it.
 */
export interface Owed {
  readonly source: string;
  /** To be let go, the last one first. */
  readonly halted: readonly HaltedContainer[];
  /** The command to run after a backup; null: none. */
  readonly after: (CommandTarget & { readonly command: string }) | null;
}

/** What one run owes; every change is on the disk before it resolves. */
export interface Debt {
  readonly source: string;
  readonly now: () => Owed;
  readonly change: (change: Partial<Omit<Owed, 'source'>>) => Promise<void>;
}

/** A run that owes nothing yet, or what an earlier one left. @throws BackupdError from `change` */
export function debtOf(dir: string, owed: Owed): Debt {
  let current = owed;
  return {
    source: owed.source,
    now: () => current,
    async change(change) {
      const next = { ...current, ...change };
      await recordOwed(dir, next);
      current = next;
    },
  };
}

/** Where that is nothing, the record is removed. */
async function recordOwed(dir: string, owed: Owed): Promise<void> {
  if (owed.halted.length === 0 && owed.after === null) {
    await removeFile(statePath(dir, 'owed', owed.source));
  } else {
    await writeState(dir, { kind: 'owed', name: [owed.source] }, owed);
  }
}

/**
 * What an earlier life still owes; null: nothing.
 * @throws BackupdError `storage-unavailable` where the record cannot be read: to go on would leave containers stopped
 */
export async function readOwed(dir: string, source: string): Promise<Owed | null> {
  const path = statePath(dir, 'owed', source);
  const stored = await readJson(path);
  if (stored.state === 'absent') {
    return null;
  }
  if (stored.state === 'damaged') {
    throw damagedState(path, stored.message);
  }
  if (!isOwed(stored.value) || stored.value.source !== source) {
    throw damagedState(path, `it is no record of what "${source}" owes`);
  }
  return stored.value;
}

function isOwed(value: unknown): value is Owed {
  const { source, halted, after } = (value ?? {}) as Partial<Owed>;
  return typeof source === 'string' && Array.isArray(halted) && after !== undefined;
}
