import { randomBytes } from 'node:crypto';
import { checkStored, openArchive } from '../archive/read-archive.ts';
import { BackupdError, isAbort, type FailureCode } from '../core/errors.ts';
import type { Comparison, Difference } from '../core/facts.ts';
import type { BackupId } from '../core/layout.ts';
import type { ArchiveFile, CatalogEntry, Manifest, Warning } from '../core/manifest.ts';
import type { Previous, RestorePlan, Source, TargetRef } from '../core/source.ts';
import { reach } from '../core/steps.ts';
import { journal } from '../store/journal.ts';
import { acquireLock } from '../store/lock.ts';
import { recordPrevious } from '../store/previous.ts';
import { chooseBackup, chooseDatabases } from './choose.ts';
import type { App, JobContext } from './context.ts';
import { resumeInterrupted } from './resume.ts';

export interface RestoreRequest {
  /** Null: the only one there is. */
  readonly source: string | null;
  /** `latest`, an id or the beginning of one, or an instant. */
  readonly at: string;
  /** Empty: all of the backup. */
  readonly databases: readonly string[];
  readonly as: string | null;
  /** A container; null: the source's own. */
  readonly into: string | null;
  /** How long to wait for another run of the source; 0: not at all. */
  readonly waitMs: number;
}

/** What a restore will do, decided without changing anything. */
export interface RestoreDecision {
  readonly source: string;
  readonly id: BackupId;
  /** When the backup began. */
  readonly startedAt: string;
  /** The container. */
  readonly into: string;
  /** What the backup lacks of the instant asked for, in plain words; null where nothing. */
  readonly gap: string | null;
  readonly databases: readonly {
    readonly name: string;
    readonly restoredAs: string;
    /** Whether something of that name is there now; it is kept under another name. */
    readonly replaces: boolean;
    readonly sizeBytes: number | null;
  }[];
  readonly warnings: readonly Warning[];
  /** For runRestore. */
  readonly bound: { readonly source: Source; readonly target: TargetRef };
  readonly manifest: Manifest;
  readonly waitMs: number;
}

/** How a restore or an undo ended. */
export interface RestoreReport {
  readonly source: string;
  /** Null for an undo. */
  readonly id: BackupId | null;
  readonly into: string;
  readonly databases: readonly {
    readonly name: string;
    readonly restoredAs: string;
    /** The name of what was there and is kept; null where nothing was there. */
    readonly previous: string | null;
    /** Null for an undo, which compares nothing. */
    readonly facts: {
      readonly matches: boolean;
      readonly differences: readonly Difference[];
    } | null;
  }[];
  readonly durationMs: number;
  readonly warnings: readonly Warning[];
}

/** How long finding out how a failed restore stands, and removing what it made, may take. */
const SETTLE_TIMEOUT_MS = 60_000;

/**
 * Decides what a restore does and looks for every reason not to begin; changes nothing.
 * @throws BackupdError with the code of the first reason: a missing backup, a target that is away, too little space...
 */
export async function planRestore(
  request: RestoreRequest,
  app: App,
  signal: AbortSignal,
): Promise<RestoreDecision> {
  const { catalog } = app.context;
  const name = request.source ?? (await onlySource(app));
  const entries = await entriesOf(name, app);
  const { entry, gap } = chooseBackup(entries, request.at, app.settings.timezone);
  const manifest = await catalog.manifest(name, entry.manifest.id);
  const wanted = chooseDatabases(manifest, request.databases, request.as);
  const { source } = await app.bind(manifest, request.into, signal);
  const target = await source.locate(signal);
  const plan = restorePlan(app.context, source, { manifest, databases: wanted, run: newRun() });
  const { problems, existing } = await source.restorer.preflight(target, plan, signal);
  const [problem, ...more] = problems;
  if (problem !== undefined) {
    const also = more.map((other) => `; ${other.message}`).join('');
    throw new BackupdError(problem.code, problem.message + also, { hint: problem.hint });
  }
  return {
    source: name,
    id: manifest.id,
    startedAt: manifest.startedAt,
    into: target.container,
    gap,
    databases: wanted.map((database) => ({
      ...database,
      replaces: existing.includes(database.restoredAs),
      sizeBytes: manifest.facts.databases[database.name]?.sizeBytes ?? null,
    })),
    warnings: manifest.warnings,
    bound: { source, target },
    manifest,
    waitMs: request.waitMs,
  };
}

async function onlySource(app: App): Promise<string> {
  const names = await app.context.catalog.sources();
  const [only, another] = names;
  if (only === undefined) {
    throw new BackupdError('backup-not-found', 'there is no backup of anything', {
      hint: 'Make one with "backupd backup".',
    });
  }
  if (another !== undefined) {
    throw new BackupdError('usage', `which source? there are backups of ${names.join(', ')}`, {
      hint: 'Name one: "backupd restore SOURCE".',
    });
  }
  return only;
}

async function entriesOf(name: string, app: App): Promise<readonly CatalogEntry[]> {
  const names = await app.context.catalog.sources();
  if (!names.includes(name)) {
    const known = names.length === 0 ? 'There are none at all.' : `There are: ${names.join(', ')}.`;
    throw new BackupdError('source-not-found', `there are no backups of a source "${name}"`, {
      hint: known,
    });
  }
  return app.context.catalog.entries(name);
}

/** Unique to one restore, and short enough for names that carry it. */
function newRun(): string {
  const stamp = new Date()
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:]/g, '');
  return `${stamp}-${randomBytes(2).toString('hex')}`;
}

function restorePlan(
  context: JobContext,
  source: Source,
  what: Pick<RestorePlan, 'manifest' | 'databases' | 'run'>,
): RestorePlan {
  return {
    ...what,
    open(file, signal) {
      const path = context.catalog.path(what.manifest, file.name);
      return openArchive(path, file, { reader: source.reader(file.format) }, signal);
    },
    onProgress(progress) {
      context.emit({
        type: 'restore-progress',
        source: what.manifest.source,
        stage: progress.stage,
        database: progress.database,
        bytes: progress.bytes ?? null,
        totalBytes: progress.totalBytes ?? null,
      });
    },
  };
}

/**
 * Restores what was decided: archives checked, loaded beside, compared, swapped. Until the swap nothing that was there
 * is touched, and what was made is removed when anything fails.
 */
export async function runRestore(
  decision: RestoreDecision,
  app: App,
  signal: AbortSignal,
): Promise<RestoreReport> {
  const began = performance.now();
  const { context } = app;
  const { source, target } = decision.bound;
  await using lock = await acquireLock(
    context.storage.dir,
    decision.source,
    { command: context.command, waitMs: decision.waitMs },
    signal,
  );
  const running = AbortSignal.any([signal, lock.lost]);
  reach('restore-locked');
  await resumeInterrupted(source, context, running);
  await checkArchives(decision, context, running);
  await source.sweep(target, running);
  const plan = restorePlan(context, source, {
    manifest: decision.manifest,
    databases: decision.databases,
    run: newRun(),
  });
  const { previous, warnings } = await restoreBeside(decision, plan, context, running);
  const durationMs = Math.round(performance.now() - began);
  context.emit({ type: 'restore-finished', source: decision.source, id: decision.id, durationMs });
  return {
    source: decision.source,
    id: decision.id,
    into: decision.into,
    databases: decision.databases.map(({ name, restoredAs }) => ({
      name,
      restoredAs,
      previous: previous.databases.find((one) => one.name === restoredAs)?.kept?.name ?? null,
      facts: { matches: true, differences: [] },
    })),
    durationMs,
    warnings,
  };
}

/** Every file that the restore reads, before anything is changed. */
async function checkArchives(
  decision: RestoreDecision,
  { catalog, emit }: JobContext,
  signal: AbortSignal,
): Promise<void> {
  for (const file of neededFiles(decision)) {
    emit({
      type: 'restore-progress',
      source: decision.source,
      stage: 'check',
      database: file.database ?? file.name,
      bytes: null,
      totalBytes: file.storedBytes,
    });
    await checkStored(catalog.path(decision.manifest, file.name), file, signal);
  }
}

function neededFiles(decision: RestoreDecision): readonly ArchiveFile[] {
  return decision.manifest.files.filter(
    (file) =>
      file.database === null || decision.databases.some(({ name }) => name === file.database),
  );
}

interface Restored {
  readonly previous: Previous;
  readonly warnings: readonly Warning[];
}

async function restoreBeside(
  decision: RestoreDecision,
  plan: RestorePlan,
  context: JobContext,
  signal: AbortSignal,
): Promise<Restored> {
  const { source, target } = decision.bound;
  const log = journal(context.storage.dir, decision.source);
  try {
    const beside = await source.restorer.build(target, plan, log, signal);
    reach('beside-built');
    checkComparisons(await source.restorer.compare(beside, plan, signal));
    reach('beside-compared');
    const previous = await source.restorer.swap(beside, plan, log, signal);
    reach('swapped');
    await recordPrevious(context.storage.dir, previous);
    reach('previous-recorded');
    await log.clear();
    reach('restore-cleared');
    return { previous, warnings: beside.warnings };
  } catch (error) {
    const settled = await settle(decision, plan, context);
    if (settled.previous !== null) {
      // The swap had happened before the connection failed: what counts is what the server says.
      return { previous: settled.previous, warnings: [] };
    }
    throw asRestoreFailure(error, settled.postponed, signal);
  }
}

function checkComparisons(comparisons: ReadonlyMap<string, Comparison>): void {
  const differences = [...comparisons.values()].flatMap((comparison) => comparison.differences);
  if (differences.length > 0) {
    const named = differences
      .slice(0, 5)
      .map(
        (one) =>
          `${one.what} in "${one.database}": ${one.expected ?? 'none'} when dumped, ${one.actual ?? 'none'} restored`,
      );
    const more =
      differences.length > named.length ? `, and ${differences.length - named.length} more` : '';
    throw new BackupdError(
      'verification-failed',
      `what was restored differs from what was dumped: ${named.join('; ')}${more}`,
      {
        hint: 'Restore another backup (see "backupd list"), and report this one.',
      },
    );
  }
}

/** How things stand after a restore that failed. */
interface Settled {
  /** What was kept, where the swap had happened after all. */
  readonly previous: Previous | null;
  /** Why what was made could not be removed now; the journal stays and the next start of anything does it. */
  readonly postponed: string | null;
}

async function settle(
  decision: RestoreDecision,
  plan: RestorePlan,
  context: JobContext,
): Promise<Settled> {
  const { source, target } = decision.bound;
  const signal = AbortSignal.timeout(SETTLE_TIMEOUT_MS);
  try {
    const previous = await resumeInterrupted(source, context, signal);
    if (previous === null) {
      await source.restorer.discard({ run: plan.run, target }, signal);
    }
    return { previous, postponed: null };
  } catch (error) {
    return { previous: null, postponed: error instanceof Error ? error.message : String(error) };
  }
}

/** After the preflight everything is `restore-failed`, but what a person or a script decides by. */
function asRestoreFailure(error: unknown, postponed: string | null, signal: AbortSignal): unknown {
  const state =
    postponed === null
      ? 'What was there is untouched, and what was loaded beside it is removed.'
      : `What was loaded beside could not be removed yet (${postponed}); the next backupd command or restart does that.`;
  if (signal.aborted || isAbort(error)) {
    return new BackupdError('cancelled', 'the restore was cancelled', {
      cause: error,
      hint: state,
    });
  }
  if (!(error instanceof BackupdError)) {
    return error;
  }
  const own: readonly FailureCode[] = ['verification-failed', 'target-in-use', 'archive-corrupt'];
  const code = own.includes(error.code) ? error.code : 'restore-failed';
  const hint = error.hint === null ? state : `${state} ${error.hint}`;
  return new BackupdError(code, error.message, { cause: error, hint });
}
