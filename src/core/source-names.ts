/**
 * What to do where a source that was named is not there.
 * @param names those that are
 */
export function hintOfNames(names: readonly string[]): string {
  return names.length === 0 ? NOTHING_HERE : `There are: ${names.join(', ')}.`;
}

/** For whoever looks for a backup and finds an empty directory: most likely it is the wrong one, or a new host. */
export const NOTHING_HERE =
  'There are none at all: look whether the right volume is mounted at BACKUPD_DIR (/backups). Copies that are elsewhere are found with "backupd list --from DESTINATION" and restored with "backupd restore SOURCE --from DESTINATION".';
