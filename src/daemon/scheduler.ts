import type { Outcome } from '../core/events.ts';
import type { Trigger } from '../core/manifest.ts';
import { isGood } from '../core/catalog-entry.ts';
import { aheadMs } from '../core/newest.ts';
import { dueRun, followClock, nextRunAt, type ScheduleState } from '../core/schedule.ts';
import type { App, BoundSource, Discovery } from '../jobs/context.ts';
import { readSchedule, saveSchedule } from '../jobs/schedule-record.ts';
import { readAttempts, recordAttempt } from '../store/attempts.ts';
import type { RunQueue } from './queue.ts';
import { troubleFields } from './trouble.ts';

/** After so many runs in a row that were cut off, a missed one is left to the schedule: it may be what ends us. */
const MOST_CUT_OFF = 3;

/** A first backup that fails is tried again: after a minute, then after twice as long each time, at least every hour. */
const FIRST_AGAIN_MS = { least: 60_000, most: 3_600_000 } as const;

const LOOK_TIMEOUT_MS = 30_000;

export interface SchedulerOptions {
  readonly app: Pick<App, 'context' | 'discover'>;
  readonly queue: RunQueue;
  /** Makes a backup, and whatever follows one; never throws. */
  readonly backUp: (
    bound: BoundSource,
    trigger: Trigger,
    signal: AbortSignal,
  ) => Promise<{ readonly outcome: Outcome }>;
  /** Told what went wrong beside the runs themselves. */
  readonly onTrouble: (message: string, facts: Readonly<Record<string, unknown>>) => void;
}

/** Offers each source to the queue when its time comes; keeps no time itself. */
export interface Scheduler {
  /** Follows these sources from now on; where Docker did not answer, those known before stay. */
  follow(discovery: Discovery, nowMs: number): Promise<void>;
  /** Offers what is due. @returns when the next occurrence is; null where there is none */
  tick(nowMs: number): Promise<number | null>;
}

interface Followed {
  bound: BoundSource;
  /** In this life an occurrence is handled once it was offered; on disk once its run has ended. */
  state: ScheduleState;
  /** When its first backup is to be offered; null where it has one, or wants none. */
  firstAtMs: number | null;
  /** How long after a first backup that failed the next try is. */
  firstAgainMs: number;
}

interface Following extends SchedulerOptions {
  readonly bySource: Map<string, Followed>;
  readonly signal: AbortSignal;
}

/** One occurrence of a source. */
interface Occurrence {
  readonly source: string;
  readonly trigger: Trigger;
  readonly atMs: number;
}

/**
 * Follows the schedules of the sources. The signal aborts the runs; one that it cuts off, or that dies with this
 * process, is made up for by the next life.
 */
export function scheduler(options: SchedulerOptions, signal: AbortSignal): Scheduler {
  const following: Following = { ...options, bySource: new Map(), signal };
  return {
    follow: (discovery, nowMs) => follow(following, discovery, nowMs),
    tick: (nowMs) => tick(following, nowMs),
  };
}

async function follow(following: Following, discovery: Discovery, nowMs: number): Promise<void> {
  const { bySource } = following;
  for (const bound of discovery.sources) {
    const known = bySource.get(bound.job.source);
    if (known === undefined) {
      bySource.set(bound.job.source, await begin(following, bound, nowMs));
    } else {
      known.bound = bound;
    }
  }
  const there = new Set(discovery.sources.map(({ job }) => job.source));
  for (const source of bySource.keys()) {
    if (!there.has(source) && discovery.docker === null) {
      bySource.delete(source);
    }
  }
}

async function begin(following: Following, bound: BoundSource, nowMs: number): Promise<Followed> {
  const { source, schedule } = bound.job;
  const { storage, catalog } = following.app.context;
  const known = await readSchedule(storage.dir, source);
  const state = known ?? { firstSeenAtMs: nowMs, handledUntilMs: null };
  if (known === null) {
    await save(following, source, state);
  }
  const wantsFirst =
    schedule.patterns.length > 0 &&
    !(await hasBackup(catalog, source)) &&
    !(await wasCutOff(following, source, state.firstSeenAtMs));
  return {
    bound,
    state,
    firstAtMs: wantsFirst ? nowMs : null,
    firstAgainMs: FIRST_AGAIN_MS.least,
  };
}

async function hasBackup(catalog: App['context']['catalog'], source: string): Promise<boolean> {
  return (await catalog.entries(source)).some((entry) => isGood(entry));
}

async function tick(following: Following, nowMs: number): Promise<number | null> {
  let nextMs = Infinity;
  for (const entry of following.bySource.values()) {
    const due = await takeDue(following, entry, nowMs);
    if (due !== null) {
      await offer(following, due);
    }
    const afterMs = Math.max(nowMs, entry.state.handledUntilMs ?? nowMs);
    const scheduledMs = nextRunAt(entry.bound.job.schedule, afterMs) ?? Infinity;
    nextMs = Math.min(nextMs, scheduledMs, entry.firstAtMs ?? Infinity);
  }
  return nextMs === Infinity ? null : nextMs;
}

/** What is due of a source now, which is handled with that. */
async function takeDue(
  following: Following,
  entry: Followed,
  nowMs: number,
): Promise<Occurrence | null> {
  const { source, schedule } = entry.bound.job;
  entry.state = followClock(schedule, entry.state, nowMs);
  if (entry.firstAtMs !== null && entry.firstAtMs <= nowMs) {
    entry.firstAtMs = null;
    if (!(await hasBackup(following.app.context.catalog, source))) {
      entry.state = { ...entry.state, handledUntilMs: nowMs };
      return { source, trigger: 'first', atMs: nowMs };
    }
  }
  const due = dueRun(schedule, entry.state, nowMs);
  if (due === null) {
    return null;
  }
  entry.state = { ...entry.state, handledUntilMs: due.atMs };
  if (due.kind === 'catch-up' && (await isMadeUpFor(following, source, due.atMs))) {
    await save(following, source, entry.state);
    return null;
  }
  return { source, trigger: due.kind, atMs: due.atMs };
}

/** Whether somebody backed it up since, by hand; or making up for it was tried to no end. */
async function isMadeUpFor(following: Following, source: string, atMs: number): Promise<boolean> {
  const entries = await following.app.context.catalog.entries(source);
  const nowMs = Date.now();
  return (
    entries.some(
      (entry) =>
        isGood(entry) &&
        Date.parse(entry.manifest.startedAt) >= atMs &&
        aheadMs(entry.manifest.startedAt, nowMs) === 0,
    ) || (await wasCutOff(following, source, atMs))
  );
}

async function wasCutOff(following: Following, source: string, sinceMs: number): Promise<boolean> {
  const { attempts } = await readAttempts(following.app.context.storage.dir, source);
  const last = attempts.slice(0, MOST_CUT_OFF);
  return (
    last.length === MOST_CUT_OFF &&
    last.every(({ at, outcome }) => outcome === 'interrupted' && Date.parse(at) >= sinceMs)
  );
}

async function offer(following: Following, occurrence: Occurrence): Promise<void> {
  const { source } = occurrence;
  const result = following.queue.offer(source, () => run(following, occurrence));
  if (result === 'busy') {
    await skip(following, occurrence, 'the run before it has not ended yet');
  } else if (result === 'full') {
    await skip(following, occurrence, 'too many runs of other sources wait already');
  }
}

async function run(following: Following, occurrence: Occurrence): Promise<void> {
  const { backUp, signal, onTrouble } = following;
  const { source, trigger, atMs } = occurrence;
  try {
    const bound = await lookUp(following, source);
    if (bound === null) {
      await skip(following, occurrence, 'its target is gone, or its configuration is wrong now');
    } else {
      const { outcome } = await backUp(bound, trigger, signal);
      if (outcome === 'interrupted' && signal.aborted) {
        return;
      }
      if (outcome !== 'success') {
        tryFirstAgain(following, occurrence);
      }
    }
    await markHandled(following, source, atMs);
  } catch (error) {
    if (!signal.aborted) {
      onTrouble('run could not be made', { source, ...troubleFields(error) });
    }
  }
}

/** A first backup that was not made is wanted still. */
function tryFirstAgain({ bySource }: Following, { source, trigger, atMs }: Occurrence): void {
  const entry = bySource.get(source);
  if (entry !== undefined && trigger === 'first') {
    entry.firstAtMs = atMs + entry.firstAgainMs;
    entry.firstAgainMs = Math.min(FIRST_AGAIN_MS.most, entry.firstAgainMs * 2);
  }
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

async function skip(following: Following, occurrence: Occurrence, reason: string): Promise<void> {
  const { source, trigger, atMs } = occurrence;
  tryFirstAgain(following, occurrence);
  const { storage, emit } = following.app.context;
  emit({ type: 'run-skipped', source, reason });
  const at = new Date(atMs).toISOString();
  const failure = { code: 'locked', message: `skipped: ${reason}`, hint: null } as const;
  const skipped = { at, finishedAt: at, outcome: 'skipped', trigger, id: null, failure } as const;
  try {
    await recordAttempt(storage.dir, source, skipped);
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

async function save(following: Following, source: string, state: ScheduleState): Promise<void> {
  try {
    await saveSchedule(following.app.context.storage.dir, source, state);
  } catch (error) {
    // This life knows it anyway; the next one may make a backup too many.
    following.onTrouble('schedule state not written', { source, ...troubleFields(error) });
  }
}
