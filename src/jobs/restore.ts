import { BackupdError, isAbort, type FailureCode } from '../core/errors.ts';
import type { Comparison, Difference } from '../core/facts.ts';
import type { BackupId } from '../core/layout.ts';
import type { Warning } from '../core/manifest.ts';
import { newRestoreRun } from '../core/restore-run.ts';
import type { Beside, Previous, RestorePlan } from '../core/restorer.ts';
import { containerOfTarget } from '../core/target.ts';
import { reach } from '../core/steps.ts';
import { journal } from '../store/journal.ts';
import { acquireLock } from '../store/lock.ts';
import { debtOf } from '../store/owed.ts';
import { recordPrevious } from '../store/previous.ts';
import { bringBack } from './bring-back.ts';
import { checkArchives } from './check-archives.ts';
import type { App, JobContext } from './context.ts';
import { fetchBackup } from './fetch-backup.ts';
import { noted } from './note-restore.ts';
import { settleOwed } from './owed.ts';
import { findRunning, restorePlan, type RestoreDecision } from './plan-restore.ts';
import { recordInterrupted } from './recover.ts';
import { resumeInterrupted } from './resume.ts';
import { throwAfterRestore, whileHalted } from './while-halted.ts';

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
  if (decision.copy !== null) {
    // May take hours, in which nobody else has to wait.
    await bringBack(decision.copy, decision, context, signal);
  }
  await using lock = await acquireLock(
    context.storage.dir,
    decision.source,
    { command: context.command, waitMs: decision.waitMs },
    signal,
  );
  const running = AbortSignal.any([signal, lock.lost]);
  reach('restore-locked');
  await recordInterrupted(decision.source, lock.dead, context);
  return await noted(
    { dir: context.storage.dir, source: decision.source, id: decision.id },
    async () => {
      const { previous, warnings } = await restoreLocked(decision, context, running);
      const durationMs = Math.round(performance.now() - began);
      const { source, id, into } = decision;
      context.emit({ type: 'restore-finished', source, id, into, durationMs });
      const databases = decision.databases.map(({ name, restoredAs }) => ({
        name,
        restoredAs,
        previous: previous.databases.find((one) => one.name === restoredAs)?.kept?.name ?? null,
        facts: { matches: true, differences: [] },
      }));
      return { source, id, into, databases, durationMs, warnings };
    },
  );
}

async function restoreLocked(
  decision: RestoreDecision,
  context: JobContext,
  running: AbortSignal,
): Promise<Restored> {
  const { source, target } = decision.bound;
  await resumeInterrupted(source, context, running);
  await settleOwed(decision.source, context, running);
  await using ring = context.keys.ring();
  const decrypt = await ring.open(decision.manifest, running);
  if (decision.copy !== null) {
    await fetchBackup(decision.copy, context, running);
  } else {
    // Retention may have removed it since it was decided.
    await context.catalog.manifest(decision.source, decision.id);
    await checkArchives(decision, context, running);
  }
  await source.sweep(target, running);
  const stops = await findRunning(decision.stop, target, context, running);
  const plan = restorePlan(context, source, {
    manifest: decision.manifest,
    databases: decision.databases,
    decrypt,
    run: newRestoreRun(),
    stops: stops.map(({ containerId }) => containerId),
  });
  return await restoreBeside(decision, plan, context, running);
}

interface Restored {
  readonly previous: Previous;
  readonly warnings: readonly Warning[];
}

/** Loads beside, compares, and swaps, during which the containers that use it may be stopped. */
async function restoreBeside(
  decision: RestoreDecision,
  plan: RestorePlan,
  context: JobContext,
  signal: AbortSignal,
): Promise<Restored> {
  const { source, target } = decision.bound;
  const { dir } = context.storage;
  const log = journal(dir, decision.source);
  let beside: Beside;
  try {
    beside = await source.restorer.build(target, plan, log, signal);
    reach('beside-built');
    checkComparisons(await source.restorer.compare(beside, plan, signal));
    reach('beside-compared');
  } catch (error) {
    return settleFailure({ decision, plan, context }, error, signal);
  }
  const debt = debtOf(dir, { source: decision.source, halted: [], after: null });
  const wish = { stop: decision.stop, pause: [] };
  const halting = { wish, target: containerOfTarget(target), debt };
  const { result, failure } = await whileHalted(halting, context, signal, async () => {
    try {
      reach('swap-halted');
      const { previous, warnings } = await source.restorer.swap(beside, plan, log, signal);
      reach('swapped');
      await recordPrevious(dir, previous);
      reach('previous-recorded');
      await log.clear();
      reach('restore-cleared');
      return { previous, warnings: [...beside.warnings, ...warnings] };
    } catch (error) {
      return settleFailure({ decision, plan, context }, error, signal);
    }
  });
  reach('swap-released');
  throwAfterRestore(failure);
  return result;
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
        hint: 'Restore another backup (see "backupd list"), or the other databases alone (--database). Where all of them differ so, the stock tools bring the data back: "Without backupd" in the guide to restores. Please report it.',
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

/** Clears up. Where the swap had happened before the connection failed, what counts is what the server says. */
async function settleFailure(
  { decision, plan, context }: Failing,
  error: unknown,
  signal: AbortSignal,
): Promise<Restored> {
  const settled = await settle({ decision, plan, context });
  if (settled.previous !== null) {
    return { previous: settled.previous, warnings: [] };
  }
  throw asRestoreFailure(error, settled.postponed, signal);
}

interface Failing {
  readonly decision: RestoreDecision;
  readonly plan: RestorePlan;
  readonly context: JobContext;
}

async function settle({ decision, plan, context }: Failing): Promise<Settled> {
  const { source, target } = decision.bound;
  const signal = AbortSignal.timeout(SETTLE_TIMEOUT_MS);
  try {
    // Nobody died: that it clears up after itself is no news.
    const quiet = { storage: context.storage, emit: () => undefined };
    const previous = await resumeInterrupted(source, quiet, signal);
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
