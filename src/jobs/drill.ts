import type { Receipt } from '../core/catalog-entry.ts';
import { CannotDrill, judge, judgeThrown, type DrillReport } from '../core/drill.ts';
import { formatDuration } from '../core/duration.ts';
import { BackupdError, toFailure } from '../core/errors.ts';
import type { Job } from '../core/job.ts';
import type { Manifest } from '../core/manifest.ts';
import { reach } from '../core/steps.ts';
import { openCatalog } from '../store/catalog.ts';
import { openDrillStorage, type DrillStorage } from '../store/drill-storage.ts';
import { readDrills, recordDrill } from '../store/drills.ts';
import { acquireDrillLock } from '../store/lock.ts';
import { chooseForDrill, chooseInstead, type DrillSubject } from './choose-drill.ts';
import type { App, JobContext } from './context.ts';
import { restoreIntoScratch, type DrillOutcome } from './drill-restore.ts';

/** How long removing what a drill made may take. */
const REMOVE_TIMEOUT_MS = 60_000;

export type DrillApp = Pick<App, 'context' | 'scratches'>;

/**
 * Restores a backup of a source into a scratch container by the code of a restore, compares, asks the user's check,
 * removes everything, and writes down what came of it. The target itself is only looked at.
 * @returns what came of it; a failure is in it
 * @throws BackupdError `locked` where the source is drilled already, `storage-unavailable`, the signal's reason
 */
export async function drillSource(
  job: Job,
  app: DrillApp,
  { waitMs }: { readonly waitMs: number },
  signal: AbortSignal,
): Promise<DrillReport> {
  const { context } = app;
  const { source } = job;
  await using lock = await acquireDrillLock(
    context.storage.dir,
    source,
    { command: context.command, waitMs },
    signal,
  );
  await using own = await openDrillStorage(context.storage, source, lock.lost);
  const limit = AbortSignal.timeout(job.timeoutMs);
  const running = AbortSignal.any([signal, lock.lost, limit]);
  let report = notYet(source);
  try {
    report = await attempt({ report, job, app, own }, running, (chosen) => {
      report = chosen;
    });
  } catch (error) {
    signal.throwIfAborted();
    lock.lost.throwIfAborted();
    report = concludeFailure(report, limit.aborted ? tookTooLong(job) : judgeThrown(error));
  } finally {
    // Whoever took the lock over has removed what was there, and what is there now is theirs.
    report = lock.lost.aborted ? report : await removeScratch(report, app);
  }
  reach('scratch-removed');
  // Told first: where the directory is full, a verdict cannot be written down.
  context.emit({ type: 'drill-finished', source, report });
  await writeDown(report, context);
  reach('drill-recorded');
  return report;
}

function notYet(source: string): DrillReport {
  return {
    at: new Date().toISOString(),
    source,
    id: null,
    from: null,
    ok: false,
    recoveryMs: null,
    integrity: null,
    differences: [],
    notCompared: [],
    checks: [],
    notes: [],
    skipped: null,
    failure: null,
  };
}

interface Attempt {
  readonly report: DrillReport;
  readonly job: Job;
  readonly app: DrillApp;
  readonly own: DrillStorage;
}

/** The one whose turn it is; the newest one in the place of an old copy that cannot be tried here. */
async function attempt(
  attempted: Attempt,
  signal: AbortSignal,
  onChosen: (report: DrillReport) => void,
): Promise<DrillReport> {
  const { job, app } = attempted;
  const { context, scratches } = app;
  const { source } = job;
  await scratches.sweep(source, signal);
  const record = await readDrills(context.storage.dir, source);
  const subject = await chooseForDrill(source, record, context, signal);
  try {
    return await tryOne(attempted, subject, signal, onChosen);
  } catch (thrown) {
    signal.throwIfAborted();
    const error = judgeThrown(thrown);
    const isOld = subject.copy !== null && error instanceof CannotDrill;
    const other = isOld ? await chooseInstead(subject, error, context) : null;
    if (other === null) {
      throw error;
    }
    await scratches.sweep(source, signal);
    return tryOne(attempted, other, signal, onChosen);
  }
}

async function tryOne(
  { report, job, app: { context, scratches }, own }: Attempt,
  subject: DrillSubject,
  signal: AbortSignal,
  onChosen: (report: DrillReport) => void,
): Promise<DrillReport> {
  const chosen = describeSubject(report, subject);
  onChosen(chosen);
  context.emit({ type: 'drill-started', source: job.source, id: subject.manifest.id });
  const isOwn = subject.copy !== null || (await own.hold(subject.manifest));
  const place = isOwn ? within(context, own) : context;
  try {
    const outcome = await restoreIntoScratch({ subject, job, scratches, context: place }, signal);
    return conclude(chosen, outcome);
  } catch (error) {
    throw isOwn || !(await isGone(subject.manifest, context)) ? error : removedMeanwhile(error);
  }
}

/** The same, but that what is read lies where it is no backup, and where retention removes nothing. */
function within(context: JobContext, { storage }: DrillStorage): JobContext {
  return { ...context, storage, catalog: openCatalog(storage) };
}

function describeSubject(
  report: DrillReport,
  { manifest, copy, notes }: DrillSubject,
): DrillReport {
  return { ...report, id: manifest.id, from: copy?.destination.name ?? null, notes };
}

function conclude(report: DrillReport, { notes, ...outcome }: DrillOutcome): DrillReport {
  const failure = judge(outcome.differences, outcome.checks);
  return {
    ...report,
    ...outcome,
    notes: [...report.notes, ...notes],
    ok: failure === null,
    failure,
  };
}

function concludeFailure(report: DrillReport, error: unknown): DrillReport {
  const failure = toFailure(error);
  return { ...report, skipped: error instanceof CannotDrill ? failure.message : null, failure };
}

async function isGone({ source, id }: Manifest, { catalog }: JobContext): Promise<boolean> {
  try {
    await catalog.manifest(source, id);
    return false;
  } catch (error) {
    return toFailure(error).code === 'backup-not-found';
  }
}

function removedMeanwhile(error: unknown): CannotDrill {
  const why = 'retention removed the backup while it was restored';
  return new CannotDrill('backup-not-found', why, {
    cause: error,
    hint: 'Keep backups for longer than a restore takes: this file system has no hard links to hold one.',
  });
}

function tookTooLong({ source, timeoutMs }: Job): BackupdError {
  return new BackupdError(
    'timeout',
    `the drill of "${source}" was not done within ${formatDuration(timeoutMs)}`,
    { hint: 'Set BACKUPD_TIMEOUT higher where a restore may take longer.' },
  );
}

/** That something stays for now changes no verdict: the next `sweepDrills` removes it. */
async function removeScratch(
  report: DrillReport,
  { scratches, context }: DrillApp,
): Promise<DrillReport> {
  const { source } = report;
  try {
    await scratches.sweep(source, AbortSignal.timeout(REMOVE_TIMEOUT_MS));
    return report;
  } catch (error) {
    const reason = `what a drill made could not be removed: ${toFailure(error).message}`;
    context.emit({ type: 'recovery-postponed', source, reason });
    return { ...report, notes: [...report.notes, reason] };
  }
}

async function writeDown(report: DrillReport, context: JobContext): Promise<void> {
  const { at, source, id, ok, integrity, recoveryMs, skipped } = report;
  await recordDrill(context.storage.dir, report);
  const entries = skipped === null && id !== null ? await context.catalog.entries(source) : [];
  const entry = entries.find(({ manifest }) => manifest.id === id);
  if (entry === undefined) {
    return;
  }
  try {
    await context.catalog.addReceipt(entry, { type: 'drilled', at, ok, integrity, recoveryMs });
    const damage = damageOf(report);
    if (damage !== null) {
      await context.catalog.addReceipt(entry, damage);
    }
  } catch (error) {
    // Retention may have removed it in this moment.
    if (toFailure(error).code !== 'backup-not-found') {
      throw error;
    }
  }
}

/** As `verify` writes it down: a damaged backup is not `latest` any more, and a copy that is lost is sent again. */
function damageOf({ from, failure }: DrillReport): Receipt | null {
  if (failure?.code !== 'archive-corrupt') {
    return null;
  }
  const at = new Date().toISOString();
  const { message } = failure;
  return from === null
    ? { type: 'damaged', at, depth: 'content', message }
    : { type: 'lost', at, destination: from, message };
}
