import { isGood, lastDrilled, type CatalogEntry } from './catalog-entry.ts';
import { BackupdError, toFailure, type Failure, type FailureCode } from './errors.ts';
import type { Comparison, Difference } from './facts.ts';
import type { BackupId } from './layout.ts';

/** How one drill ended. It is a verdict where nothing was skipped: on this backup, and on how it is restored. */
export interface DrillReport {
  /** When it began. */
  readonly at: string;
  readonly source: string;
  /** Null where there was no backup to try. */
  readonly id: BackupId | null;
  /** The destination whose copy was restored; null: what is here. */
  readonly from: string | null;
  readonly ok: boolean;
  /** From the decision to a database that can be queried; null where it did not come so far. */
  readonly recoveryMs: number | null;
  /** Facts that matched over those that were compared; null where none was. */
  readonly integrity: number | null;
  readonly differences: readonly Difference[];
  /** What could not be compared: estimates, and what was not recorded. */
  readonly notCompared: readonly string[];
  readonly checks: readonly CheckVerdict[];
  /** What else has to be known: why this backup, another image. */
  readonly notes: readonly string[];
  /** Why it could not be tried; null: it was. */
  readonly skipped: string | null;
  /** What failed, or keeps it from being tried; null where it passed. */
  readonly failure: Failure | null;
}

/** What a check of the user found. */
export interface CheckVerdict {
  readonly check: string;
  readonly ok: boolean;
  /** The first value of a statement, or the end of what a command printed. */
  readonly found: string;
}

/** What is remembered of the drills of a source. */
export interface DrillRecord {
  /** The last one, whatever came of it. */
  readonly last: DrillReport | null;
  /** The last one that was not skipped. */
  readonly lastVerdict: DrillReport | null;
  readonly lastSuccessAt: string | null;
  /** How many verdicts there ever were. */
  readonly verdicts: number;
}

export const NO_DRILLS: DrillRecord = {
  last: null,
  lastVerdict: null,
  lastSuccessAt: null,
  verdicts: 0,
};

/** The record with one more drill; one that was skipped moves no verdict. */
export function addDrill(record: DrillRecord, report: DrillReport): DrillRecord {
  return report.skipped === null
    ? {
        last: report,
        lastVerdict: report,
        lastSuccessAt: report.ok ? report.at : record.lastSuccessAt,
        verdicts: record.verdicts + 1,
      }
    : { ...record, last: report };
}

/** A drill cannot be tried here and now, which says nothing about the backup. */
export class CannotDrill extends BackupdError {
  constructor(
    code: FailureCode,
    message: string,
    options: { hint?: string; cause?: unknown } = {},
  ) {
    super(code, message, options);
  }
}

/** What is the matter is with this host, its Docker, its network or a store: the backup may be as good as any. */
const NOT_OF_BACKUP: ReadonlySet<FailureCode> = new Set([
  'key-missing',
  'target-unavailable',
  'destination-unavailable',
  'destination-denied',
  'retrieval-pending',
  'no-space',
]);

/** What was thrown in a drill; a CannotDrill where it says nothing about the backup. */
export function judgeThrown(thrown: unknown): unknown {
  const { code, message, hint } = toFailure(thrown);
  return thrown instanceof CannotDrill || !NOT_OF_BACKUP.has(code)
    ? thrown
    : new CannotDrill(code, message, { cause: thrown, ...(hint === null ? {} : { hint }) });
}

/** Which backup to restore, and why it. */
export interface DrillChoice<Entry extends CatalogEntry = CatalogEntry> {
  readonly entry: Entry;
  readonly reason: string;
}

/** Every so many drills an old backup is taken, and not the newest. */
const OLD_ONE_EVERY = 4;

/** Whether it is the turn of an old backup, off this host. */
export function isTurnOfOldest({ verdicts }: Pick<DrillRecord, 'verdicts'>): boolean {
  return verdicts % OLD_ONE_EVERY === OLD_ONE_EVERY - 1;
}

/**
 * The newest good backup that was never drilled; where all were, the newest.
 * @param entries newest first
 */
export function chooseNewest(entries: readonly CatalogEntry[]): DrillChoice | null {
  const good = entries.filter((entry) => isGood(entry));
  const [newest] = good;
  if (newest === undefined) {
    return null;
  }
  const fresh = good.find((entry) => lastDrilled(entry) === null);
  return fresh === undefined
    ? { entry: newest, reason: 'the newest backup; all of them were drilled before' }
    : { entry: fresh, reason: 'the newest backup that was not drilled yet' };
}

/** The oldest good ones first: whoever asks takes the first that can be read at once. */
export function oldestFirst<Entry extends CatalogEntry>(
  entries: readonly Entry[],
): readonly Entry[] {
  return entries
    .filter((entry) => isGood(entry))
    .toSorted((one, other) => (one.manifest.id < other.manifest.id ? -1 : 1));
}

/** All comparisons as one. */
export function sumUp(
  databases: readonly string[],
  comparisons: ReadonlyMap<string, Comparison>,
): Pick<DrillReport, 'integrity' | 'differences' | 'notCompared'> {
  const all = [...comparisons.values()];
  const compared = all.reduce((sum, one) => sum + one.compared, 0);
  const matched = all.reduce((sum, one) => sum + one.matched, 0);
  return {
    integrity: compared === 0 ? null : matched / compared,
    differences: all.flatMap(({ differences }) => differences),
    notCompared: [
      ...[...comparisons].flatMap(([database, { notCompared }]) =>
        notCompared.map((what) => `${what} in "${database}"`),
      ),
      ...databases
        .filter((database) => (comparisons.get(database)?.compared ?? 0) === 0)
        .map((database) => `anything of "${database}": no facts were recorded`),
    ],
  };
}

/** What a configured check asks for. */
export type DrillCheck =
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'statement'; readonly database: string | null; readonly statement: string };

/**
 * `exec: command`, `database: statement`, or a statement alone where there is one database only.
 * @returns null: which database is meant is not said, or it is not in the backup
 */
export function parseCheck(text: string, databases: readonly string[]): DrillCheck | null {
  const command = /^\s*exec:\s*(.*)$/s.exec(text)?.[1];
  if (command !== undefined) {
    return { kind: 'command', command };
  }
  // Only what is a database of this backup: a statement may have a colon, too.
  const database = databases.find((name) => text.trimStart().startsWith(`${name}:`));
  if (database === undefined) {
    // Every PostgreSQL server has this one, and it is seldom meant.
    const others = databases.filter((name) => name !== 'postgres');
    const [only = null, another] = others.length === 0 ? databases : others;
    return another === undefined
      ? { kind: 'statement', database: only, statement: text.trim() }
      : null;
  }
  const statement = text
    .trimStart()
    .slice(database.length + 1)
    .trim();
  return { kind: 'statement', database, statement };
}

/** Whether the first value of a statement says yes. */
export function isYes(value: string): boolean {
  return !['', 'null', '\\n', 'false', 'f', '0'].includes(value.trim().toLowerCase());
}

/** Why a drill that came to its end did not pass; null: it did. */
export function judge(
  differences: readonly Difference[],
  checks: readonly CheckVerdict[],
): Failure | null {
  const [first] = differences;
  const failed = checks.filter(({ ok }) => !ok);
  if (first === undefined && failed.length === 0) {
    return null;
  }
  const more = differences.length > 1 ? `, and ${differences.length - 1} more` : '';
  const parts = [
    ...(first === undefined
      ? []
      : [
          `${first.what} in "${first.database}": ${first.expected ?? 'none'} when dumped, ${first.actual ?? 'none'} restored${more}`,
        ]),
    ...failed.map(({ check, found }) => `check "${check}" found "${found}"`),
  ];
  return {
    code: 'verification-failed',
    message: `the drill failed: ${parts.join('; ')}`,
    hint:
      first === undefined
        ? 'The data was restored and is as it was dumped; what backupd.drill.check asks does not hold in it. Look at the source, and at the check.'
        : 'This backup does not bring back what was there. Make another one now ("backupd backup"), drill it, and report this.',
  };
}
