import type { Logger } from 'pino';
import type { App, BoundSource, Discovery } from '../jobs/context.ts';
import { recoverSource } from '../jobs/recover.ts';
import { hasJournal } from '../store/journal.ts';
import { readLock, type LockWatches } from '../store/lock.ts';
import { alarm, type Alarm } from './alarm.ts';
import { keepKnown, reportChanges } from './look.ts';
import type { Scheduler } from './scheduler.ts';
import { troubleFields } from './trouble.ts';

/** How often the containers are listed. */
const LOOK_EVERY_MS = 30_000;
const LOOK_TIMEOUT_MS = 30_000;
/** What takes longer is left to the next run of the source, which clears up as well. */
const RECOVERY_TIMEOUT_MS = 120_000;
/** The longest sleep: a clock that was set, or a machine that slept, is noticed after it. */
const LONGEST_SLEEP_MS = 30_000;

/** What the loops of a daemon share. */
export interface Loops {
  readonly app: App;
  readonly log: Logger;
  readonly scheduler: Scheduler;
  /** Ends the sleep between two looks at the schedules. */
  readonly wake: Alarm;
  /** What was seen of the sources' locks before this life had the directory. */
  readonly watches: LockWatches;
  /** What the last look found. */
  seen: Discovery;
}

/**
 * Lists the containers again and again until the signal aborts. A source that is new in this life is first cleared of
 * what an earlier one left, and followed from then on; one whose target hangs meanwhile holds up no other. What commands
 * leave half-done is cleared up, too.
 */
export async function followSources(loops: Loops, signal: AbortSignal): Promise<void> {
  /** When a source was cleared, or that was tried, last. */
  const clearedAtMs = new Map<string, number>();
  /** Why a source could not be cleared up, as it was told last. */
  const postponed = new Map<string, string>();
  const clearing = new Map<string, Promise<void>>();
  const pause = alarm();

  async function clear(bound: BoundSource): Promise<void> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(RECOVERY_TIMEOUT_MS)]);
    const { source } = bound.job;
    const reason = await recoverSource(bound, loops.app.context, loops.watches, limit);
    if (reason === null) {
      postponed.delete(source);
    } else if (reason !== postponed.get(source)) {
      postponed.set(source, reason);
      loops.app.context.emit({ type: 'recovery-postponed', source, reason });
    }
    const isNew = !clearedAtMs.has(source);
    clearedAtMs.set(source, performance.now());
    clearing.delete(source);
    if (isNew) {
      pause.ring();
    }
  }

  async function look(): Promise<void> {
    const found = await lookForSources(loops, signal);
    for (const bound of found.sources) {
      const { source } = bound.job;
      const atMs = clearedAtMs.get(source);
      const isDue = atMs !== undefined && performance.now() - atMs >= LOOK_EVERY_MS;
      const isNeeded = atMs === undefined || (isDue && (await isLeftHalfDone(loops.app, source)));
      if (isNeeded && !clearing.has(source)) {
        clearing.set(source, clear(bound));
      }
    }
    const sources = found.sources.filter(({ job }) => clearedAtMs.has(job.source));
    await loops.scheduler.follow({ ...found, sources }, Date.now());
    loops.wake.ring();
  }

  while (!signal.aborted) {
    await attempt(loops, 'sources not followed', look, signal);
    await pause.sleep(LOOK_EVERY_MS, signal);
  }
  await Promise.all(clearing.values());
}

/** Whether a restore or an undo of a source was left half-done: its process died, or its server was away when it failed. */
async function isLeftHalfDone({ context }: App, source: string): Promise<boolean> {
  const { dir } = context.storage;
  return (await hasJournal(dir, source)) && (await readLock(dir, source))?.alive !== true;
}

async function lookForSources(loops: Loops, signal: AbortSignal): Promise<Discovery> {
  const { app, log } = loops;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOK_TIMEOUT_MS)]);
  const found = keepKnown(loops.seen, await app.discover(limit));
  reportChanges(app, loops.seen, found, log);
  loops.seen = found;
  return found;
}

/** Sleeps to the next occurrence, offers what is due, and so on until the signal aborts. */
export async function keepSchedules(loops: Loops, signal: AbortSignal): Promise<void> {
  const { scheduler, wake } = loops;
  while (!signal.aborted) {
    let sleepMs = LONGEST_SLEEP_MS;
    async function look(): Promise<void> {
      const nextMs = (await scheduler.tick(Date.now())) ?? Infinity;
      sleepMs = Math.min(LONGEST_SLEEP_MS, Math.max(0, nextMs - Date.now()));
    }
    await attempt(loops, 'schedules not looked at', look, signal);
    await wake.sleep(sleepMs, signal);
  }
}

/** What fails is tried again in the next round: a daemon that ends makes no backups at all. */
async function attempt(
  { log }: Pick<Loops, 'log'>,
  failed: string,
  work: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!signal.aborted) {
      log.error(troubleFields(error), failed);
    }
  }
}
