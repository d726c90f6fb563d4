import { formatDuration } from '../core/duration.ts';
import { BackupdError } from '../core/errors.ts';
import { parseInstant } from '../core/instant.ts';
import { resolveId } from '../core/layout.ts';
import { NOTHING_HERE } from '../core/source-names.ts';
import type { Attempt } from '../core/events.ts';
import type { ManifestSummary, Warning } from '../core/manifest.ts';
import { isDamaged, isGood, type CatalogEntry } from '../core/catalog-entry.ts';
import { newestGood } from '../core/newest.ts';

/** The backup that `--at` means, and in plain words what it lacks of that instant; null where it lacks nothing. */
export interface Choice {
  readonly entry: CatalogEntry;
  readonly gap: string | null;
}

/**
 * Finds the backup that `latest`, an id or a unique beginning of one, or an instant means among those of one source.
 * @throws BackupdError `backup-not-found`, or `usage` for an `at` that is none of these or ambiguous
 */
export function chooseBackup(
  { entries, attempts }: Remembered,
  at: string,
  timezone: string,
): Choice {
  if (at === 'latest') {
    const entry = newestGood(entries, attempts, Date.now());
    if (entry === null) {
      throw noneIsGood(entries.length);
    }
    return { entry, gap: null };
  }
  if (looksLikeId(at)) {
    const id = resolveId(
      at,
      entries.map((entry) => entry.manifest.id),
    );
    return { entry: entries.find((entry) => entry.manifest.id === id) as CatalogEntry, gap: null };
  }
  const instant = parseInstant(at, timezone);
  if (instant === null) {
    throw new BackupdError('usage', `"${at}" is neither "latest", nor an id, nor an instant`, {
      hint: 'Write --at 2026-11-22T02:00 (with an offset or Z where it is not in BACKUPD_TIMEZONE), or an id from "backupd list".',
    });
  }
  const entry = entries
    .filter((candidate) => isGood(candidate))
    .find((candidate) => Date.parse(candidate.manifest.startedAt) <= instant.until.getTime());
  if (entry === undefined) {
    throw new BackupdError(
      'backup-not-found',
      `no backup began at or before ${instant.from.toISOString()}`,
      {
        hint: 'Run "backupd list" to see the backups there are.',
      },
    );
  }
  return { entry, gap: gapBetween(entry.manifest, instant.from) };
}

/** What is known of the backups of a source; both newest first. */
export interface Remembered {
  readonly entries: readonly CatalogEntry[];
  readonly attempts: readonly Attempt[];
}

/** Whether `--at` means an id rather than an instant. */
export function looksLikeId(at: string): boolean {
  return /^\d{4,8}$|^\d{8}[T-]/.test(at);
}

/** Why a backup is not what `latest` means. */
function flawOf(entry: CatalogEntry): string {
  if (isDamaged(entry)) {
    return 'it is damaged';
  }
  if (isGood(entry)) {
    return 'it is dated in the future, and others were made since';
  }
  return entry.manifest.suspicious
    ? 'it is suspicious, the source had shrunk'
    : `it is of kind "${entry.manifest.kind}"`;
}

/** Warns of backups that are newer than the one that `latest` means: whoever restores has to know that there is more. */
export function warnOfNewer(
  latest: CatalogEntry,
  entries: readonly CatalogEntry[],
  /** Why others cannot be used, by their ids. */
  unusable: Iterable<readonly [id: string, why: string]>,
): readonly Warning[] {
  const { id: chosen } = latest.manifest;
  const reasons = new Map([
    ...unusable,
    ...entries.map((entry) => [entry.manifest.id, flawOf(entry)] as const),
  ]);
  return [...reasons]
    .filter(([id]) => id > chosen)
    .map(([id, why]) => ({
      code: 'newer-not-used',
      message: `backup ${id} is newer and not used: ${why}`,
    }));
}

function noneIsGood(count: number): BackupdError {
  return new BackupdError(
    'backup-not-found',
    count === 0
      ? 'there is no backup'
      : count === 1
        ? 'the only backup is not good'
        : `none of the ${count} backups is good`,
    {
      hint:
        count === 0
          ? NOTHING_HERE
          : 'Damaged and suspicious backups are restored by their id only: see "backupd list".',
    },
  );
}

function gapBetween(manifest: ManifestSummary, instant: Date): string | null {
  const gapMs = instant.getTime() - Date.parse(manifest.startedAt);
  return gapMs < 1000
    ? null
    : `the backup began ${formatDuration(gapMs)} before ${instant.toISOString()}: what changed in between is not in it`;
}

/** What is restored under which name. */
export interface Wanted {
  readonly name: string;
  readonly restoredAs: string;
}

/**
 * The databases of a backup that a restore is asked for; all where none is named.
 * @throws BackupdError `backup-not-found` for one that is not in it, `usage` where `as` does not fit
 */
export function chooseDatabases(
  manifest: Pick<ManifestSummary, 'id' | 'databases'>,
  names: readonly string[],
  as: string | null,
): readonly Wanted[] {
  const missing = names.filter((name) => !manifest.databases.includes(name));
  if (missing.length > 0) {
    throw new BackupdError(
      'backup-not-found',
      `backup ${manifest.id} has no database ${missing.map((name) => `"${name}"`).join(', ')}`,
      { hint: `It has: ${manifest.databases.map((name) => `"${name}"`).join(', ')}.` },
    );
  }
  const chosen = manifest.databases.filter((name) => names.length === 0 || names.includes(name));
  if (as !== null && chosen.length !== 1) {
    throw new BackupdError(
      'usage',
      `--as gives one name, ${chosen.length} databases are restored`,
      {
        hint: `Name one of them with --database: ${chosen.map((name) => `"${name}"`).join(', ')}.`,
      },
    );
  }
  return chosen.map((name) => ({ name, restoredAs: as ?? name }));
}
