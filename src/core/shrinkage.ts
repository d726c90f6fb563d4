import { wereTaken, type DatabaseFacts } from './facts.ts';
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
  const warnings = [...findEmptied(last, current)];
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

/**
 * Whether a volume is empty that was not in the last good backup, as the end of a sentence about it; null where not.
 * Docker makes an empty volume of every one that is gone: a backup of that would be one of nothing.
 */
export function findEmptiedVolume(last: Manifest, current: Manifest): string | null {
  if (current.engine !== 'volume') {
    return null;
  }
  const before = countEntries(last);
  return before !== null && before > 0 && countEntries(current) === 0
    ? `is empty, and had ${before} files and directories in backup ${last.id}`
    : null;
}

/** Null where facts were switched off. */
function countEntries({ facts }: Manifest): number | null {
  const counts = Object.values(facts.databases).map(({ objects }) => objects['entries'] ?? null);
  return counts.includes(null) ? null : counts.reduce<number>((sum, one) => sum + (one ?? 0), 0);
}

/** Databases that lost all of their tables; or a server that did, with the databases: as one whose volume was lost. */
function findEmptied(last: Manifest, current: Manifest): readonly Warning[] {
  const after = current.facts.databases;
  if (!Object.values(after).every((facts) => wereTaken(facts))) {
    return [];
  }
  const emptied = Object.entries(last.facts.databases).flatMap(([name, before]) => {
    const tables = countTables([before]);
    const now = after[name];
    return tables > 0 && now !== undefined && countTables([now]) === 0
      ? [vanished(`database "${name}" had ${tables} tables and has none now`)]
      : [];
  });
  const tablesBefore = countTables(Object.values(last.facts.databases));
  return emptied.length === 0 && tablesBefore > 0 && countTables(Object.values(after)) === 0
    ? [vanished(`the server had ${tablesBefore} tables in its databases and has none now`)]
    : emptied;
}

function vanished(message: string): Warning {
  return { code: 'tables-vanished', message };
}

function countTables(databases: readonly DatabaseFacts[]): number {
  return databases.reduce((sum, { tables }) => sum + Object.keys(tables).length, 0);
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
