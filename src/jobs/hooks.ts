import { BackupdError, toFailure } from '../core/errors.ts';
import type { CommandTarget } from '../core/halts.ts';
import type { Job } from '../core/job.ts';
import type { HookReport } from '../core/manifest.ts';
import { reach } from '../core/steps.ts';
import type { Debt } from '../store/owed.ts';
import type { JobContext } from './context.ts';

/** A command that is run in a container before or after a backup. */
export interface Hook {
  readonly source: string;
  readonly when: HookReport['when'];
  readonly command: string;
  readonly at: CommandTarget;
  /** Marks its processes. */
  readonly run: string;
}

/** What is to be run around a backup, and where. */
export interface Hooks {
  readonly job: Pick<Job, 'source' | 'before' | 'after'>;
  /** Null where there is no container for them. */
  readonly at: CommandTarget | null;
  readonly run: string;
  readonly debt: Debt;
}

/** A run that was told to end still has this time for its last command. */
const AFTER_TIMEOUT_MS = 10 * 60_000;

/**
 * Runs a command and tells how it ended; that it could not be run at all is told the same way, without an exit code.
 * Only an aborted signal throws.
 */
export async function runHook(
  { source, when, command, at, run }: Hook,
  { neighbours, emit }: Pick<JobContext, 'neighbours' | 'emit'>,
  signal: AbortSignal,
): Promise<HookReport> {
  const began = performance.now();
  const what = { command, name: `backupd.${when}`, run };
  const result = await neighbours.runCommand(at, what, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    return { exitCode: null, output: toFailure(error).message };
  });
  const durationMs = Math.round(performance.now() - began);
  const report = { when, ...result, durationMs };
  emit({ type: 'hook-ended', source, container: at.container, report });
  return report;
}

/**
 * Does the work between the commands before and after it, the latter however the work ended.
 * @throws BackupdError `dump-failed` where the one before fails: then the work is not done
 */
export async function withHooks<Result>(
  { job, at: place, run, debt }: Hooks,
  context: JobContext,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly hooks: readonly HookReport[] }> {
  const { source, before, after } = job;
  if (before === null && after === null) {
    return { result: await work(), hooks: [] };
  }
  const at = place ?? refuseNowhere(source);

  async function runAfter(): Promise<readonly HookReport[]> {
    if (after === null) {
      return [];
    }
    const limit = AbortSignal.timeout(AFTER_TIMEOUT_MS);
    const hook = { source, when: 'after', command: after, at, run } as const;
    const report = await runHook(hook, context, limit).catch((error: unknown) => ({
      when: hook.when,
      exitCode: null,
      output: toFailure(error).message,
      durationMs: AFTER_TIMEOUT_MS,
    }));
    await debt.change({ after: null });
    reach('after-ended');
    return [report];
  }

  if (after !== null) {
    await debt.change({ after: { ...at, command: after } });
  }
  const hooks: HookReport[] = [];
  let result: Result;
  try {
    if (before !== null) {
      const hook = { source, when: 'before', command: before, at, run } as const;
      hooks.push(refuseFailed(await runHook(hook, context, signal), at));
      reach('before-ended');
    }
    result = await work();
  } catch (error) {
    // Why the work failed must not be hidden by what could not be written down: that stays owed.
    await runAfter().catch((other: unknown) => {
      context.emit({ type: 'recovery-postponed', source, reason: toFailure(other).message });
    });
    throw error;
  }
  hooks.push(...(await runAfter()));
  return { result, hooks };
}

function refuseNowhere(source: string): never {
  throw new BackupdError(
    'config-invalid',
    `source "${source}" has a command before or after its backups, and no container to run it in`,
    { hint: 'Commands are for databases, and for volumes that a label on a container names.' },
  );
}

function refuseFailed(report: HookReport, { container }: CommandTarget): HookReport {
  const failure = hookFailure(report, container);
  if (failure !== null) {
    throw new BackupdError('dump-failed', failure, {
      hint: 'What it printed is in the log. Nothing was backed up: it has to exit with 0 first.',
    });
  }
  return report;
}

/** What went wrong with a command; null: nothing. */
export function hookFailure(report: HookReport, container: string): string | null {
  const { when, exitCode, output } = report;
  if (exitCode === 0) {
    return null;
  }
  const ended = exitCode === null ? 'could not be run' : `exited with ${exitCode}`;
  const said = output.split('\n').at(-1) ?? '';
  return `the command of backupd.${when} in container "${container}" ${ended}${said === '' ? '' : `: ${said}`}`;
}
