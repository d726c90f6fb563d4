import { isDamaged, isGood } from '../core/catalog-entry.ts';
import { toFailure } from '../core/errors.ts';
import { aheadMs } from '../core/newest.ts';
import { triesInRow } from '../core/retry.ts';
import { dueRun, followClock, nextRunAt } from '../core/schedule.ts';
import type { App, BoundSource, Discovery } from '../jobs/context.ts';
import { readSchedule } from '../jobs/schedule-record.ts';
import { readAttempts } from '../store/attempts.ts';
import {
  offer,
  save,
  type Followed,
  type Following,
  type Occurrence,
  type SchedulerOptions,
  type Wanted,
} from './occurrences.ts';

/** After so many runs in a row that were cut off, a missed one is left to the schedule: it may be what ends us. */
const MOST_CUT_OFF = 3;

/** No try is planned further ahead. */
const LONGEST_WAIT_MS = 3_600_000;

/** Offers each source to the queue when its time comes; keeps no time itself. */
export interface Scheduler {
  /** Follows these sources from now on; where Docker did not answer, those known before stay. */
  follow(discovery: Discovery, nowMs: number): Promise<void>;
  /** Offers what is due. @returns when the next occurrence is; null where there is none */
  tick(nowMs: number): Promise<number | null>;
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
      await wantAgain(following, known, nowMs);
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
  const { source } = bound.job;
  const { storage } = following.app.context;
  const known = await readSchedule(storage.dir, source);
  const state = known ?? { firstSeenAtMs: nowMs, handledUntilMs: null };
  if (known === null) {
    await save(following, source, state);
  }
  const wanted = await findWanted(following, bound, { sinceMs: state.firstSeenAtMs, nowMs });
  return { bound, state, wanted, madeUpFor: null };
}

/** A first backup, or the next try of what an earlier life was to try again. */
async function findWanted(
  following: Following,
  { job: { source, schedule } }: BoundSource,
  { sinceMs, nowMs }: { readonly sinceMs: number; readonly nowMs: number },
): Promise<Wanted | null> {
  const { storage, catalog } = following.app.context;
  if (schedule.patterns.length === 0 || (await wasCutOff(following, source, sinceMs))) {
    return null;
  }
  const { attempts } = await readAttempts(storage.dir, source);
  const [last] = attempts;
  const number = triesInRow(attempts) + 1;
  if (!(await hasBackup(catalog, source))) {
    return { trigger: 'first', number, atMs: nowMs, unlessSinceMs: null };
  }
  const retryAt = last?.retryAt ?? null;
  if (last === undefined || retryAt === null) {
    return null;
  }
  const { trigger, at } = last;
  // A clock that was set back is not waited for.
  const atMs = Math.min(Math.max(nowMs, Date.parse(retryAt)), nowMs + LONGEST_WAIT_MS);
  return { trigger, number, atMs, unlessSinceMs: Date.parse(at) };
}

/** Where what the last run made is gone or was found damaged, and there is no other: another one, as if there never was any. */
async function wantAgain(following: Following, entry: Followed, nowMs: number): Promise<void> {
  const { source, schedule } = entry.bound.job;
  const { storage, catalog } = following.app.context;
  if (entry.wanted !== null || schedule.patterns.length === 0) {
    return;
  }
  const entries = await readable(catalog.entries(source));
  if (entries === null || entries.some((one) => isGood(one))) {
    return;
  }
  const [last] = (await readAttempts(storage.dir, source)).attempts;
  const made = entries.find(({ manifest }) => manifest.id === last?.id);
  const isLost = made === undefined || isDamaged(made);
  if (last?.outcome === 'success' && isLost && last.at !== entry.madeUpFor) {
    entry.madeUpFor = last.at;
    entry.wanted = { trigger: 'first', number: 1, atMs: nowMs, unlessSinceMs: null };
    const why = made === undefined ? 'it is not there any more' : 'it was found damaged';
    following.onTrouble('the last good backup is lost, another one is made', {
      source,
      id: last.id,
      why,
    });
  }
}

/** Null where the directory cannot be read, which whoever looks at it tells, and which keeps no other source from its runs. */
async function readable<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (toFailure(error).code !== 'storage-unavailable') {
      throw error;
    }
    return null;
  }
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
    nextMs = Math.min(nextMs, scheduledMs, entry.wanted?.atMs ?? Infinity);
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
  const { wanted } = entry;
  if (wanted?.trigger === 'first' && wanted.atMs <= nowMs) {
    entry.wanted = null;
    if (!(await hasBackup(following.app.context.catalog, source))) {
      entry.state = { ...entry.state, handledUntilMs: nowMs };
      return { source, trigger: 'first', atMs: nowMs, number: wanted.number };
    }
  }
  const due = dueRun(schedule, entry.state, nowMs);
  if (due === null) {
    return takeTry(following, entry, nowMs);
  }
  entry.state = { ...entry.state, handledUntilMs: due.atMs };
  if (due.kind === 'catch-up' && (await isMadeUpFor(following, source, due.atMs))) {
    await save(following, source, entry.state);
    return null;
  }
  // What is tried again comes with it; a first backup stays wanted until it is there.
  entry.wanted = entry.wanted?.trigger === 'first' ? entry.wanted : null;
  return { source, trigger: due.kind, atMs: due.atMs, number: 1 };
}

/** What failed, and is to be tried again now. */
async function takeTry(
  following: Following,
  entry: Followed,
  nowMs: number,
): Promise<Occurrence | null> {
  const { source } = entry.bound.job;
  const { wanted } = entry;
  if (wanted === null || wanted.trigger === 'first' || wanted.atMs > nowMs) {
    return null;
  }
  entry.wanted = null;
  const { trigger, number, unlessSinceMs } = wanted;
  const isMade = await isMadeUpFor(following, source, unlessSinceMs ?? 0);
  return isMade ? null : { source, trigger, atMs: nowMs, number };
}

/** Whether somebody backed it up since, by hand; or making up for it was tried to no end. */
async function isMadeUpFor(following: Following, source: string, atMs: number): Promise<boolean> {
  const entries = await following.app.context.catalog.entries(source);
  const nowMs = following.now();
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
