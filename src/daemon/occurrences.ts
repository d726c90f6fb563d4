import type { Failure } from '../core/errors.ts';
import type { Outcome } from '../core/events.ts';
import type { Trigger } from '../core/manifest.ts';
import { nextTry } from '../core/retry.ts';
import { nextRunAt, type ScheduleState } from '../core/schedule.ts';
import type { App, BoundSource } from '../jobs/context.ts';
import { saveSchedule } from '../jobs/schedule-record.ts';
import { recordAttempt } from '../store/attempts.ts';
import type { RunQueue } from './queue.ts';
import { troubleFields } from './trouble.ts';

const LOOK_TIMEOUT_MS = 30_000;

export interface SchedulerOptions {
  readonly app: Pick<App, 'context' | 'discover'>;
  readonly queue: RunQueue;
  /** Makes a backup, and whatever follows one; asks when a failed one is tried again; never throws. */
  readonly backUp: (
    run: ScheduledRun,
    signal: AbortSignal,
  ) => Promise<{ readonly outcome: Outcome }>;
  /** The wall clock. */
  readonly now: () => number;
  /** Told what went wrong beside the runs themselves. */
  readonly onTrouble: (message: string, facts: Readonly<Record<string, unknown>>) => void;
}

/** A run whose time has come. */
export interface ScheduledRun {
  readonly bound: BoundSource;
  readonly trigger: Trigger;
  /** Plans the next try after this failure. @returns when it is; null where the failure counts as it is */
  readonly tryAgain: (failure: Failure) => string | null;
}

export interface Followed {
  bound: BoundSource;
  /** In this life an occurrence is handled once it was offered; on disk once its run has ended. */
  state: ScheduleState;
  /** What is to be offered apart from the schedule: its first backup, or one that failed; null: nothing is. */
  wanted: Wanted | null;
  /** When the run began whose backup was lost, and is made up for by another one; null: none was. */
  madeUpFor: string | null;
}

export interface Wanted {
  readonly trigger: Trigger;
  /** Which try of the same occurrence it is, from 1. */
  readonly number: number;
  readonly atMs: number;
  /** A backup that began later, somebody else's, makes it needless; null: any good one does. */
  readonly unlessSinceMs: number | null;
}

export interface Following extends SchedulerOptions {
  readonly bySource: Map<string, Followed>;
  readonly signal: AbortSignal;
}

/** One occurrence of a source. */
export interface Occurrence {
  readonly source: string;
  readonly trigger: Trigger;
  readonly atMs: number;
  /** Which try of it, from 1. */
  readonly number: number;
}

/** Puts it into the queue; where that takes it not, it is skipped. */
export async function offer(following: Following, occurrence: Occurrence): Promise<void> {
  const { source } = occurrence;
  const result = following.queue.offer(source, () => run(following, occurrence));
  if (result === 'busy') {
    await skip(following, occurrence, 'the run before it has not ended yet');
  } else if (result === 'full') {
    await postpone(following, occurrence, 'too many runs of other sources wait already');
  }
}

async function run(following: Following, occurrence: Occurrence): Promise<void> {
  const { backUp, signal, onTrouble } = following;
  const { source, trigger, atMs } = occurrence;
  try {
    const bound = await lookUp(following, source);
    if (bound === null) {
      await postpone(
        following,
        occurrence,
        'its target is gone, or its configuration is wrong now',
      );
    } else {
      const { outcome } = await backUp(
        { bound, trigger, tryAgain: (failure) => planTry(following, occurrence, failure) },
        signal,
      );
      if (outcome === 'interrupted' && signal.aborted) {
        return;
      }
    }
    await markHandled(following, source, atMs);
  } catch (error) {
    if (!signal.aborted) {
      onTrouble('run could not be made', { source, ...troubleFields(error) });
    }
  }
}

/** @returns when it is tried again; null where the failure counts as it is */
function planTry(
  { app, bySource, now }: Following,
  { source, trigger, atMs, number }: Occurrence,
  { code }: Pick<Failure, 'code'>,
): string | null {
  const entry = bySource.get(source);
  if (entry === undefined) {
    return null;
  }
  const endedAtMs = now();
  const { schedule } = entry.bound.job;
  const nextRunAtMs = nextRunAt(schedule, Math.max(endedAtMs, entry.state.handledUntilMs ?? 0));
  const next = nextTry({ trigger, code, number, endedAtMs, nextRunAtMs });
  if (next === null) {
    return null;
  }
  entry.wanted = {
    // A first backup that waits meanwhile is wanted until it is there, however often this is tried.
    trigger: entry.wanted?.trigger === 'first' ? 'first' : trigger,
    number: number + 1,
    atMs: next.atMs,
    unlessSinceMs: atMs,
  };
  const at = new Date(next.atMs).toISOString();
  app.context.emit({ type: 'retry-planned', source, at });
  return next.counts ? null : at;
}

/** The source as it is at this moment; as it was seen last where that cannot be told. */
async function lookUp(following: Following, source: string): Promise<BoundSource | null> {
  const { app, bySource, signal, onTrouble } = following;
  const last = bySource.get(source)?.bound ?? null;
  try {
    const discovery = await app.discover(
      AbortSignal.any([signal, AbortSignal.timeout(LOOK_TIMEOUT_MS)]),
    );
    const bound = discovery.sources.find(({ job }) => job.source === source) ?? null;
    return discovery.docker === null ? bound : (bound ?? last);
  } catch (error) {
    signal.throwIfAborted();
    onTrouble('sources not looked up', { source, ...troubleFields(error) });
    return last;
  }
}

/** Leaves out what another run of the source does now; a first backup is wanted until it is there. */
async function skip(following: Following, occurrence: Occurrence, reason: string): Promise<void> {
  if (occurrence.trigger === 'first') {
    await postpone(following, occurrence, reason);
  } else {
    tellSkipped(following, occurrence, reason);
    await recordSkipped(following, occurrence, { reason, retryAt: null });
  }
}

async function postpone(
  following: Following,
  occurrence: Occurrence,
  reason: string,
): Promise<void> {
  tellSkipped(following, occurrence, reason);
  const retryAt = planTry(following, occurrence, { code: 'locked' });
  await recordSkipped(following, occurrence, { reason, retryAt });
}

function tellSkipped({ app }: Following, { source }: Occurrence, reason: string): void {
  app.context.emit({ type: 'run-skipped', source, reason });
}

async function recordSkipped(
  following: Following,
  { source, trigger, atMs }: Occurrence,
  { reason, retryAt }: { readonly reason: string; readonly retryAt: string | null },
): Promise<void> {
  const { storage } = following.app.context;
  const at = new Date(atMs).toISOString();
  const failure = { code: 'locked', message: `skipped: ${reason}`, hint: null } as const;
  const ended = { at, finishedAt: at, outcome: 'skipped' } as const;
  try {
    await recordAttempt(storage.dir, source, { ...ended, trigger, id: null, failure, retryAt });
  } catch (error) {
    following.onTrouble('skipped run not counted', { source, ...troubleFields(error) });
  }
}

/** Notes what this life has handled of a source, with what it skipped meanwhile. */
async function markHandled(following: Following, source: string, atMs: number): Promise<void> {
  const state = following.bySource.get(source)?.state;
  const firstSeenAtMs = state?.firstSeenAtMs ?? atMs;
  await save(following, source, { firstSeenAtMs, handledUntilMs: state?.handledUntilMs ?? atMs });
}

/** Writes down how far a source has been dealt with. */
export async function save(
  following: Following,
  source: string,
  state: ScheduleState,
): Promise<void> {
  try {
    await saveSchedule(following.app.context.storage.dir, source, state);
  } catch (error) {
    // This life knows it anyway; the next one may make a backup too many.
    following.onTrouble('schedule state not written', { source, ...troubleFields(error) });
  }
}
