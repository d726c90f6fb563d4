import { randomBytes } from 'node:crypto';
import { BackupdError, toFailure, type Failure } from '../core/errors.ts';
import type { Outcome } from '../core/events.ts';
import type { Job } from '../core/job.ts';
import { formatBackupId, type BackupId } from '../core/layout.ts';
import { storedBytes, type Manifest, type Trigger } from '../core/manifest.ts';
import type { Source } from '../core/source.ts';
import { reach } from '../core/steps.ts';
import { recordAttempt } from '../store/attempts.ts';
import { acquireLock } from '../store/lock.ts';
import { ensureReserve } from '../store/reserve.ts';
import type { Storage } from '../store/storage.ts';
import type { JobContext } from './context.ts';
import { describeBackup } from './describe-backup.ts';
import { dump } from './dump.ts';
import { forgetDropped } from './forget-dropped.ts';
import { settleOwed } from './owed.ts';
import { recordInterrupted } from './recover.ts';
import { resumeInterrupted } from './resume.ts';

export interface BackupRequest {
  readonly source: Source;
  readonly job: Job;
  readonly trigger: Trigger;
  readonly pins: readonly 'by-hand'[];
  /** How long to wait for another run of the source; 0: not at all. */
  readonly waitMs: number;
  /** Told how it failed before that is recorded; says when it is tried again, null where it is not. */
  readonly tryAgain: (failure: Failure) => string | null;
}

/** How one run ended; exactly one of `manifest` and `failure` is there. */
export interface BackupRun {
  readonly source: string;
  readonly engine: Source['engine'];
  readonly outcome: Outcome;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly manifest: Manifest | null;
  readonly failure: Failure | null;
}

/** Room beside the size of the last backup that must be free before one begins. */
export const SPACE_MARGIN_BYTES = 32 * 1024 * 1024;

/** Backs one source up. Never throws: how it ended is in the result, in the record of attempts, and told to the listeners. */
export async function runBackup(
  request: BackupRequest,
  context: JobContext,
  signal: AbortSignal,
): Promise<BackupRun> {
  const startedAt = new Date();
  const began = performance.now();
  const { source, trigger } = request;
  const timeout = AbortSignal.timeout(request.job.timeoutMs);
  let manifest: Manifest | null = null;
  let failure: Failure | null = null;
  const id = formatBackupId({ startedAt, kind: 'full', suffix: randomBytes(2).toString('hex') });
  // Released only when it is on disk how the run ended: whoever takes it over from a dead process records that itself.
  await using held = new AsyncDisposableStack();
  try {
    manifest = await backUp(request, context, {
      id,
      startedAt,
      held,
      signal: AbortSignal.any([signal, timeout]),
    });
  } catch (error) {
    failure = toFailure(
      timeout.aborted && !signal.aborted
        ? timedOut(request, error)
        : signal.aborted
          ? cancelled(source.name)
          : error,
    );
  }
  const durationMs = Math.round(performance.now() - began);
  const outcome = outcomeOf(failure);
  const at = startedAt.toISOString();
  if (failure === null && manifest !== null) {
    context.emit({ type: 'backup-finished', source: source.name, manifest, durationMs });
  } else if (failure !== null) {
    context.emit({ type: 'backup-failed', source: source.name, id, failure, durationMs });
  }
  reach('backup-ended');
  const recordFailure = await record(context, source.name, {
    at,
    finishedAt: new Date().toISOString(),
    outcome,
    trigger,
    id: manifest?.id ?? null,
    failure,
    retryAt: retryAt(request, failure, signal),
  });
  const releaseFailure = await release(held);
  return {
    source: source.name,
    engine: source.engine,
    outcome,
    startedAt: at,
    durationMs,
    manifest,
    failure: failure ?? recordFailure ?? releaseFailure,
  };
}

function retryAt(
  { tryAgain }: BackupRequest,
  failure: Failure | null,
  signal: AbortSignal,
): string | null {
  return failure === null || signal.aborted ? null : tryAgain(failure);
}

async function release(held: AsyncDisposableStack): Promise<Failure | null> {
  try {
    await held.disposeAsync();
    return null;
  } catch (error) {
    return toFailure(error);
  }
}

/** A run that could not be recorded would be forgotten: that is a failure of its own, unless there is one already. */
async function record(
  context: JobContext,
  source: string,
  attempt: Parameters<typeof recordAttempt>[2],
): Promise<Failure | null> {
  try {
    await recordAttempt(context.storage.dir, source, attempt);
    reach('attempt-recorded');
    return null;
  } catch (error) {
    return toFailure(error);
  }
}

function outcomeOf(failure: Failure | null): Outcome {
  if (failure === null) {
    return 'success';
  }
  return failure.code === 'locked'
    ? 'skipped'
    : failure.code === 'cancelled'
      ? 'interrupted'
      : 'failed';
}

function timedOut(request: BackupRequest, error: unknown): BackupdError {
  const detail = error instanceof BackupdError ? `: ${error.message}` : '';
  return new BackupdError(
    'timeout',
    `the backup of "${request.source.name}" did not end within ${request.job.timeoutMs / 1000} s${detail}`,
    {
      cause: error,
      hint: 'End what blocks it, or give it more time with BACKUPD_TIMEOUT.',
    },
  );
}

function cancelled(source: string): BackupdError {
  return new BackupdError('cancelled', `the backup of "${source}" was cancelled`);
}

interface Running {
  readonly id: BackupId;
  readonly startedAt: Date;
  /** Takes the lock. */
  readonly held: AsyncDisposableStack;
  readonly signal: AbortSignal;
}

async function backUp(
  request: BackupRequest,
  context: JobContext,
  running: Running,
): Promise<Manifest> {
  const { source, job, trigger } = request;
  const { catalog, storage, emit } = context;
  const lockRequest = { command: context.command, waitMs: request.waitMs };
  const lock = running.held.use(
    await acquireLock(storage.dir, source.name, lockRequest, running.signal),
  );
  const signal = AbortSignal.any([running.signal, lock.lost]);
  emit({
    type: 'backup-started',
    source: source.name,
    engine: source.engine,
    id: running.id,
    trigger,
  });

  await lock.describe({ id: running.id, startedAt: running.startedAt.toISOString(), trigger });
  reach('backup-locked');
  await recordInterrupted(source.name, lock.dead, context);
  await resumeInterrupted(source, context, signal);
  await settleOwed(source.name, context, signal);
  await catalog.sweep(source.name);
  await checkSpace(context, source.name);
  await ensureReserve(storage.dir);
  const target = await source.locate(signal);
  await forgetDropped(source, target, storage.dir, signal);

  // Before anything is stopped, run or written: a key that cannot be used is known by then.
  await using encrypter = await context.keys.encrypter(signal);
  await using draft = await catalog.draft(source.name, running.id);
  const run = markOf(storage, source, running.id);
  const dumping = { source, job, draft, encrypter, target, run };
  const { failure, ...dumped } = await dump(dumping, context, signal);
  const { id, startedAt } = running;
  const isExpected = request.pins.length > 0;
  const manifest = await describeBackup(
    { source, trigger, id, startedAt, target, encrypter, isExpected, ...dumped },
    context,
  );
  signal.throwIfAborted();
  await draft.commit(manifest);
  reach('backup-committed');
  for (const warning of manifest.warnings) {
    emit({ type: 'backup-warning', source: source.name, warning });
  }
  await pin(manifest, request, context);
  if (failure !== null) {
    // The backup is there. That something does not run because of it must not be taken for a success.
    throw failure;
  }
  return manifest;
}

/** Marks everything that is started in the target. */
function markOf({ identity }: Storage, { name }: Pick<Source, 'name'>, id: BackupId): string {
  return `${identity}/${name}/${id.slice(-4)}${randomBytes(2).toString('hex')}`;
}

async function pin(
  manifest: Manifest,
  { pins }: BackupRequest,
  { catalog }: JobContext,
): Promise<void> {
  if (pins.length > 0) {
    const entry = { manifest, receipts: [] };
    await catalog.addReceipt(entry, { type: 'pinned', at: new Date().toISOString() });
  }
}

async function checkSpace(context: JobContext, source: string): Promise<void> {
  const [last] = await context.catalog.entries(source);
  const neededBytes = (last === undefined ? 0 : storedBytes(last.manifest)) + SPACE_MARGIN_BYTES;
  const { freeBytes } = await context.storage.space();
  if (freeBytes < neededBytes) {
    throw new BackupdError(
      'no-space',
      `${context.storage.dir} has ${Math.floor(freeBytes / 1e6)} MB free, a backup of "${source}" needs about ${Math.ceil(neededBytes / 1e6)} MB`,
      {
        hint: 'Free space there, make the volume larger, or keep fewer backups (BACKUPD_KEEP).',
      },
    );
  }
}
