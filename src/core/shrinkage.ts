import { dumpBytes, type Manifest, type Warning } from './manifest.ts';

/** A dump that is smaller than this part of the last one is suspicious. */
const SMALLEST_PART = 0.1;
/** Below this a dump says little by its size: an empty database is all headers. */
const LEAST_BYTES = 100_000;

/**
 * Whether a source shrank to nothing since its last good backup: a dump that succeeds of a database which somebody
 * emptied. Such a backup is kept and shown, but it is never `latest`.
 */
export function findShrinkage(last: Manifest, current: Manifest): readonly Warning[] {
  const warnings: Warning[] = [];
  for (const [name, before] of Object.entries(last.facts.databases)) {
    const after = current.facts.databases[name];
    if (
      after !== undefined &&
      Object.keys(before.tables).length > 0 &&
      Object.keys(after.tables).length === 0
    ) {
      warnings.push({
        code: 'tables-vanished',
        message: `database "${name}" had ${Object.keys(before.tables).length} tables and has none now`,
      });
    }
  }
  const beforeBytes = dumpBytes(last);
  const afterBytes = dumpBytes(current);
  if (beforeBytes > LEAST_BYTES && afterBytes < beforeBytes * SMALLEST_PART) {
    warnings.push({
      code: 'shrunk',
      message: `the dump has ${afterBytes} bytes, the last good one had ${beforeBytes}`,
    });
  }
  return warnings;
}

/** Databases that the last good backup had and this one has not: said, since it may have been meant. */
export function findMissingDatabases(last: Manifest, current: Manifest): readonly Warning[] {
  return last.databases
    .filter((name) => !current.databases.includes(name))
    .map((name) => ({
      code: 'database-missing',
      message: `database "${name}" was in the last good backup and is not in this one`,
    }));
}
