import {
  CannotDrill,
  judgeThrown,
  parseCheck,
  sumUp,
  type CheckVerdict,
  type DrillReport,
} from '../core/drill.ts';
import { BackupdError, toFailure } from '../core/errors.ts';
import type { Stages } from '../core/encryption.ts';
import type { Job } from '../core/job.ts';
import type { Manifest } from '../core/manifest.ts';
import { newRestoreRun } from '../core/restore-run.ts';
import type { Journal, RestorePlan } from '../core/restorer.ts';
import type { Scratch, Scratches } from '../core/scratch.ts';
import { reach } from '../core/steps.ts';
import { chooseDatabases } from './choose.ts';
import type { DrillSubject } from './choose-drill.ts';
import type { JobContext } from './context.ts';
import { fetchBackup } from './fetch-backup.ts';
import { restorePlan } from './plan-restore.ts';

export type DrillOutcome = Pick<
  DrillReport,
  'recoveryMs' | 'integrity' | 'differences' | 'notCompared' | 'checks'
> & { readonly notes: readonly string[] };

export interface Drilling {
  readonly subject: DrillSubject;
  readonly job: Job;
  readonly scratches: Scratches;
  /** Where a copy is fetched to, else where the backup is. */
  readonly context: JobContext;
}

/** What is thrown away needs no way back. */
const NO_JOURNAL: Journal = { write: () => Promise.resolve() };

/**
 * Makes a scratch, restores into it, compares, asks the user's check. The time that counts begins here, with the decision.
 * The caller removes the scratch, however this ends.
 * @throws CannotDrill, or what `judgeThrown` makes one of, where it cannot be tried here; BackupdError where the restore fails
 */
export async function restoreIntoScratch(
  { subject, job, scratches, context }: Drilling,
  signal: AbortSignal,
): Promise<DrillOutcome> {
  const began = performance.now();
  const { manifest, copy } = subject;
  await using ring = context.keys.ring();
  const decrypt = await ring.open(manifest, signal);
  const scratch = await scratches.open({ manifest, job }, signal);
  try {
    if (copy !== null) {
      await fetchBackup(copy, context, signal);
    }
    const plan = planFor(scratch, { manifest, decrypt }, context);
    await lookAhead(scratch, plan, signal);
    const { compared, recoveryMs } = await load(scratch, plan, began, signal);
    const checks = await askChecks(scratch, job, manifest, signal);
    return { ...compared, recoveryMs, checks, notes: scratch.notes };
  } catch (error) {
    signal.throwIfAborted();
    throw await explained(error, scratch, signal);
  }
}

/**
 * What a failure comes from once the scratch was looked at again. One whose server ended by itself is not a host on which
 * nothing can be tried: it may be the backup that ended it.
 */
async function explained(error: unknown, scratch: Scratch, signal: AbortSignal): Promise<unknown> {
  if (toFailure(error).code === 'archive-corrupt') {
    return error;
  }
  const fate = await lookAgain(scratch, signal);
  if (fate instanceof CannotDrill) {
    return new CannotDrill(fate.code, fate.message, {
      cause: error,
      ...(fate.hint === null ? {} : { hint: fate.hint }),
    });
  }
  return fate !== null && judgeThrown(error) instanceof CannotDrill ? fate : error;
}

/** As the scratch explains itself; CannotDrill where Docker cannot be asked. */
async function lookAgain(scratch: Scratch, signal: AbortSignal): Promise<BackupdError | null> {
  try {
    return await scratch.explain(signal);
  } catch (error) {
    signal.throwIfAborted();
    return judgeThrown(error) as BackupdError;
  }
}

function planFor(
  { source }: Scratch,
  { manifest, decrypt }: { readonly manifest: Manifest; readonly decrypt: Stages },
  context: JobContext,
): RestorePlan {
  const databases = chooseDatabases(manifest, [], null);
  return restorePlan(context, source, {
    manifest,
    databases,
    decrypt,
    run: newRestoreRun(),
    stops: [],
  });
}

async function lookAhead(
  { source, target, notes }: Scratch,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<void> {
  const { problems } = await source.restorer.preflight(target, plan, signal);
  const [problem] = problems;
  if (problem === undefined) {
    return;
  }
  const { code, message, hint } = problem;
  // An image that is not the recorded one is a matter of this host.
  const isOfHost = code === 'format-unsupported' && notes.length > 0;
  throw isOfHost
    ? new CannotDrill(code, message, { hint })
    : new BackupdError(code, message, { hint });
}

async function load(
  { source, target }: Scratch,
  plan: RestorePlan,
  began: number,
  signal: AbortSignal,
): Promise<{ readonly compared: ReturnType<typeof sumUp>; readonly recoveryMs: number }> {
  const { restorer } = source;
  const beside = await restorer.build(target, plan, NO_JOURNAL, signal);
  reach('scratch-loaded');
  const comparisons = await restorer.compare(beside, plan, signal);
  reach('drill-compared');
  await restorer.swap(beside, plan, NO_JOURNAL, signal);
  const recoveryMs = Math.round(performance.now() - began);
  const databases = plan.databases.map(({ name }) => name);
  return { compared: sumUp(databases, comparisons), recoveryMs };
}

async function askChecks(
  scratch: Scratch,
  { drillCheck }: Job,
  { databases }: Manifest,
  signal: AbortSignal,
): Promise<readonly CheckVerdict[]> {
  if (drillCheck === null) {
    return [];
  }
  const check = parseCheck(drillCheck, databases);
  if (check === null) {
    const found = `not run: the backup has the databases ${databases.join(', ')}; begin with the one that is meant, and a colon`;
    return [{ check: drillCheck, ok: false, found }];
  }
  try {
    const { ok, found } = await scratch.ask(check, signal);
    return [{ check: drillCheck, ok, found }];
  } catch (error) {
    signal.throwIfAborted();
    if ((await lookAgain(scratch, signal)) instanceof CannotDrill) {
      throw error;
    }
    return [{ check: drillCheck, ok: false, found: toFailure(error).message }];
  }
}
