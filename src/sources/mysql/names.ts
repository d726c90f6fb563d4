import { runPrefix } from '../runs.ts';
import type { Connection } from './connection.ts';
import { OURS } from './marks.ts';

/** Databases that are loaded beside begin so, until they are swapped in. */
export const BESIDE_PREFIX = `${OURS}n_`;
/** The longest name of anything (in characters). */
export const LONGEST_NAME = 64;

/** The name under which a database of a restore is loaded. */
export function besideName(run: string, index: number): string {
  return `${BESIDE_PREFIX}${run.toLowerCase().replaceAll('-', '_')}_${index}`;
}

/** Whose a database is that is loaded beside: of which `/backups` and source, and of which restore. */
export function besideMark({ run }: Pick<Connection, 'run'>, restore: string): string {
  return `${runPrefix(run)}${restore}`;
}

/** `shop_before_20261122t020000z`, cut so that it fits; a number where that is taken. */
export function freeName(name: string, run: string, taken: ReadonlySet<string>): string {
  const stamp = run.toLowerCase().split('-')[0] ?? run;
  for (let number = 1; ; number += 1) {
    const ending = `_before_${stamp}${number === 1 ? '' : `_${number}`}`;
    const candidate = name.slice(0, LONGEST_NAME - ending.length) + ending;
    if (!taken.has(candidate)) {
      return candidate;
    }
  }
}
