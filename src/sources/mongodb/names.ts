/** Collections that are loaded beside begin so, until they are swapped in. */
export const NEW_PREFIX = 'backupd_new_';
/** Collections that a restore put aside begin so. */
export const KEPT_PREFIX = 'backupd_before_';
/** Holds what restores have to know; see marks.ts. */
export const OWN_DATABASE = '_backupd';
/** Bytes of database, dot and collection together. */
export const LONGEST_NAMESPACE = 255;

/** What the names of collections begin with that a restore loads: `backupd_new_20261122t020000z_3fa9_`. */
export function newPrefix(run: string): string {
  return `${NEW_PREFIX}${inNames(run)}_`;
}

/** What the names of collections begin with that a restore or undo puts aside. */
export function keptPrefix(run: string): string {
  return `${KEPT_PREFIX}${inNames(run)}_`;
}

function inNames(run: string): string {
  return run.toLowerCase().replaceAll('-', '_');
}

/** Whether a collection is what a restore loads or keeps. */
export function isOurs(collection: string): boolean {
  return collection.startsWith(NEW_PREFIX) || collection.startsWith(KEPT_PREFIX);
}
