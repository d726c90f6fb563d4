import type { Logger } from 'pino';
import type { App, Discovery } from '../jobs/context.ts';
import { recoverSource, recoverUnbound, unfinished } from '../jobs/recover.ts';
import type { LockWatches } from '../store/lock.ts';
import { readLock } from '../store/read-lock.ts';
import { alarm, type Alarm } from './alarm.ts';
import { clearing } from './clearing.ts';
import { keepKnown, reportChanges } from './look.ts';
import type { Scheduler } from './scheduler.ts';
import { troubleFields } from './trouble.ts';

/** How often the containers are listed. */
const LOOK_EVERY_MS = 30_000;
const LOOK_TIMEOUT_MS = 30_000;
/** The longest sleep: a clock that was set, or a machine that slept, is noticed after it. */
export const LONGEST_SLEEP_MS = 30_000;

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
  /** The container that this process runs in, as `docker exec` names it. */
  ownName: string;
}

/**
 * Lists the containers again and again until the signal aborts. A source that is new in this life is first cleared of
 * what an earlier one left, and followed from then on; one whose target hangs meanwhile holds up no other. What commands
 * leave half-done is cleared up, too.
 */
export async function followSources(loops: Loops, signal: AbortSignal): Promise<void> {
  const { app } = loops;
  const { context } = app;
  const pause = alarm();
  const cleared = clearing(
    {
      emit: context.emit,
      onFirst: () => {
        pause.ring();
      },
      everyMs: LOOK_EVERY_MS,
    },
    signal,
  );

  /** At first also what a living process may hold: whether one in another container lives takes a while to find out. */
  async function leftHalfDone(): Promise<readonly string[]> {
    const { dir } = context.storage;
    const left: string[] = [];
    for (const source of await unfinished(dir)) {
      if (!cleared.isCleared(source) || (await readLock(dir, source))?.alive !== true) {
        left.push(source);
      }
    }
    return left;
  }

  async function look(): Promise<void> {
    const found = await lookForSources(loops, signal);
    const left = new Set(await leftHalfDone());
    for (const bound of found.sources) {
      const { source } = bound.job;
      if (left.delete(source) || !cleared.isCleared(source)) {
        cleared.clear(source, async (limit) => recoverSource(bound, context, loops.watches, limit));
      }
    }
    // Where Docker is silent they may be sources all the same.
    for (const source of found.docker === null ? left : []) {
      cleared.clear(source, async (limit) => recoverUnbound(source, app, loops.watches, limit));
    }
    const sources = found.sources.filter(({ job }) => cleared.isCleared(job.source));
    await loops.scheduler.follow({ ...found, sources }, Date.now());
    loops.wake.ring();
  }

  while (!signal.aborted) {
    await attempt(loops, 'sources not followed', look, signal);
    await pause.sleep(LOOK_EVERY_MS, signal);
  }
  await cleared.idle();
}

async function lookForSources(loops: Loops, signal: AbortSignal): Promise<Discovery> {
  const { app, log } = loops;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOK_TIMEOUT_MS)]);
  const found = keepKnown(loops.seen, await app.discover(limit));
  reportChanges(app, loops.seen, found, log);
  loops.seen = found;
  // It is for commands that people are shown: where Docker is silent they are as the documents have them.
  const own = await app.ownContainer(limit).catch(() => null);
  loops.ownName = own?.name ?? loops.ownName;
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
export async function attempt(
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
