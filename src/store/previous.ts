import { dirname } from 'node:path';
import { encodeName } from '../core/layout.ts';
import type { Previous } from '../core/restorer.ts';
import { removeFile } from './atomic-file.ts';
import { readStates, statePath, writeState } from './state-file.ts';

/** Remembers what a restore replaced and kept, one file each; the same run again replaces its own. */
export async function recordPrevious(dir: string, previous: Previous): Promise<void> {
  const name = [previous.source, encodeName(previous.run)];
  await writeState(dir, { kind: 'previous', name }, previous);
}

/** What restores of a source replaced and kept, newest first. */
export async function readPrevious(dir: string, source: string): Promise<readonly Previous[]> {
  const values = await readStates(dirname(statePath(dir, 'previous', source, 'any')));
  return values
    .filter((value) => isPreviousOf(value, source))
    .toSorted((one, other) => compareNewestFirst(one, other));
}

/** Forgets one of them; one that is not there is fine. */
export async function removePrevious(dir: string, source: string, run: string): Promise<void> {
  await removeFile(statePath(dir, 'previous', source, encodeName(run)));
}

function compareNewestFirst(one: Previous, other: Previous): number {
  return (
    Date.parse(other.replacedAt) - Date.parse(one.replacedAt) || (one.run < other.run ? 1 : -1)
  );
}

function isPreviousOf(value: unknown, source: string): value is Previous {
  const previous = value as Partial<Previous> | null;
  return (
    previous?.source === source &&
    typeof previous.run === 'string' &&
    typeof previous.replacedAt === 'string' &&
    Array.isArray(previous.databases)
  );
}
