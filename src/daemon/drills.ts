import { backOffMs } from '../core/back-off.ts';
import { toFailure } from '../core/errors.ts';
import { dueRun, followClock, nextRunAt, type ScheduleState } from '../core/schedule.ts';
import type { Job } from '../core/job.ts';
import { drillSource } from '../jobs/drill.ts';
import { readDrillSchedule, saveDrillSchedule } from '../jobs/schedule-record.ts';
import { isDrilled, sweepDrills } from '../jobs/sweep-drills.ts';
import { alarm } from './alarm.ts';
import { attempt, LONGEST_SLEEP_MS, type Loops } from './loops.ts';

/** Of a drill of which nothing could be said, not even that it cannot be tried. */
const BACK_OFF = { leastMs: 60_000, mostMs: 4 * 3_600_000 };

const SWEEP_EVERY_MS = 3_600_000;

/** How often such a drill was begun in a row, and when it is tried again. */
interface Tries {
  readonly failures: number;
  readonly againAtMs: number;
}

interface DrillLoop extends Loops {
  readonly tries: Map<string, Tries>;
}

/**
 * Drills each source when its time has come, one after the other, until the signal aborts; at first and every hour removes
 * what those left that died, commands too. One that the signal cuts off is made up for by the next life.
 */
export async function keepDrills(loops: Loops, signal: AbortSignal): Promise<void> {
  const { app } = loops;
  const pause = alarm();
  const tries = new Map<string, Tries>();
  let sweptAtMs = -Infinity;
  while (!signal.aborted) {
    let sleepMs = LONGEST_SLEEP_MS;
    async function look(): Promise<void> {
      if (performance.now() - sweptAtMs > SWEEP_EVERY_MS) {
        // What a dead process left in the same container is known at once, elsewhere after some seconds.
        await sweepDrills(app, signal);
        sweptAtMs = performance.now();
      }
      for (const { job } of loops.seen.sources) {
        const nextMs = await runIfDue(job, { ...loops, tries }, signal);
        sleepMs = Math.min(sleepMs, Math.max(0, (nextMs ?? Infinity) - Date.now()));
      }
      if (loops.seen.sources.length === 0) {
        sleepMs = FIRST_LOOK_MS;
      }
    }
    await attempt(loops, 'drills not looked at', look, signal);
    await pause.sleep(sleepMs, signal);
  }
}

/** Before the sources were looked at for the first time nothing is known of them. */
const FIRST_LOOK_MS = 2000;

/** @returns when the next one is; null: never */
async function runIfDue(job: Job, loop: DrillLoop, signal: AbortSignal): Promise<number | null> {
  const { dir } = loop.app.context.storage;
  const { source, drill } = job;
  const nowMs = Date.now();
  if (drill.patterns.length === 0 || signal.aborted) {
    return null;
  }
  const known = await readDrillSchedule(dir, source);
  const state = followClock(drill, known ?? { firstSeenAtMs: nowMs, handledUntilMs: null }, nowMs);
  if (state !== known) {
    // Also where the clock was set back: seen from a state that is ahead still, each occurrence would be one of before.
    await saveDrillSchedule(dir, source, state);
  }
  const due = dueRun(drill, state, nowMs);
  if (due !== null && !isPutOff(loop.tries.get(source), nowMs)) {
    if (await run(job, loop, signal)) {
      await saveDrillSchedule(dir, source, handled(state, due.atMs));
    }
  }
  return nextRunAt(drill, Math.max(nowMs, due?.atMs ?? nowMs));
}

/** Whether the next try is yet to come; not where the clock was set back meanwhile. */
function isPutOff(tries: Tries | undefined, nowMs: number): boolean {
  const againAtMs = tries?.againAtMs ?? 0;
  return againAtMs > nowMs && againAtMs - nowMs <= BACK_OFF.mostMs;
}

/** @returns whether there is a report of it; without one it is tried again as long as it may be made up for */
async function run(job: Job, loop: DrillLoop, signal: AbortSignal): Promise<boolean> {
  const { app, tries } = loop;
  const { source } = job;
  const { failures = 0 } = tries.get(source) ?? {};
  let isDone = false;

  async function drill(): Promise<void> {
    try {
      await drillSource(job, app, { waitMs: 0 }, signal);
      isDone = true;
    } catch (error) {
      // Somebody who drills it by hand at this moment does what is wanted.
      const { code } = toFailure(error);
      isDone = code === 'locked' && (await isDrilled(app.context.storage.dir, source));
      throw error;
    }
  }

  await attempt(loop, 'drill not made', drill, signal);
  if (isDone) {
    tries.delete(source);
  } else {
    const againAtMs = Date.now() + backOffMs(failures + 1, BACK_OFF);
    tries.set(source, { failures: failures + 1, againAtMs });
  }
  return isDone;
}

function handled(state: ScheduleState, untilMs: number): ScheduleState {
  return { ...state, handledUntilMs: untilMs };
}
