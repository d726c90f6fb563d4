import type { Logger } from 'pino';
import type { App, Discovery } from '../jobs/context.ts';
import { recoverSource } from '../jobs/recover.ts';
import { alarm, type Alarm } from './alarm.ts';
import { reportChanges } from './look.ts';
import type { Scheduler } from './scheduler.ts';
import { troubleFields } from './trouble.ts';

/** How often the containers are listed. */
const LOOK_EVERY_MS = 30_000;
const LOOK_TIMEOUT_MS = 30_000;
/** The longest sleep: a clock that was set, or a machine that slept, is noticed after it. */
const LONGEST_SLEEP_MS = 30_000;

/** What the loops of a daemon share. */
export interface Loops {
  readonly app: App;
  readonly log: Logger;
  readonly scheduler: Scheduler;
  /** Ends the sleep between two looks at the schedules. */
  readonly wake: Alarm;
  /** What the last look found. */
  seen: Discovery;
}

/**
 * Lists the containers again and again until the signal aborts; a source that is new in this life is first cleared of
 * what an earlier one left.
 */
export async function followSources(loops: Loops, signal: AbortSignal): Promise<void> {
  const cleared = new Set<string>();
  const pause = alarm();
  while (!signal.aborted) {
    await attempt(
      loops,
      'sources not followed',
      () => lookForSources(loops, cleared, signal),
      signal,
    );
    await pause.sleep(LOOK_EVERY_MS, signal);
  }
}

async function lookForSources(
  loops: Loops,
  cleared: Set<string>,
  signal: AbortSignal,
): Promise<void> {
  const { app, log, scheduler, wake } = loops;
  const found = await app.discover(AbortSignal.any([signal, AbortSignal.timeout(LOOK_TIMEOUT_MS)]));
  reportChanges(app, loops.seen, found, log);
  loops.seen = found;
  const newcomers = found.sources.filter(({ job }) => !cleared.has(job.source));
  await Promise.all(newcomers.map((bound) => recoverSource(bound, app.context, signal)));
  for (const { job } of newcomers) {
    cleared.add(job.source);
  }
  await scheduler.follow(found, Date.now());
  wake.ring();
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
