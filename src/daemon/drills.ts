import { backOffMs } from '../core/back-off.ts';
import { toFailure } from '../core/errors.ts';
import { dueRun, followClock, nextRunAt } from '../core/schedule.ts';
import type { Job } from '../core/job.ts';
import { drillSource } from '../jobs/drill.ts';
import {
  readDrillSchedule,
  saveDrillSchedule,
  type DrillSchedule,
} from '../jobs/schedule-record.ts';
import { isDrilled, sweepDrills } from '../jobs/sweep-drills.ts';
import { alarm } from './alarm.ts';
import { attempt, LONGEST_SLEEP_MS, type Loops } from './loops.ts';

/** After so many in a row that were cut off, one is left to the schedule: it may be what ends us. */
const MOST_CUT_OFF = 3;

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
    const loop = { ...loops, tries };
    async function look(): Promise<void> {
      if (performance.now() - sweptAtMs > SWEEP_EVERY_MS) {
        // What a dead process left in the same container is known at once, elsewhere after some seconds.
        await sweepDrills(app, signal);
        sweptAtMs = performance.now();
      }
      // Before the first one begins: how late one is does not count what those before it take.
      const due: Due[] = [];
      for (const { job } of loops.seen.sources) {
        const { due: one, nextMs } = await findDue(job, loop);
        due.push(...(one === null ? [] : [one]));
        sleepMs = Math.min(sleepMs, Math.max(0, (nextMs ?? Infinity) - Date.now()));
      }
      if (loops.seen.sources.length === 0) {
        sleepMs = FIRST_LOOK_MS;
      }
      for (const one of due) {
        if (!signal.aborted) {
          await make(one, loop, signal);
        }
      }
    }
    await attempt(loops, 'drills not looked at', look, signal);
    await pause.sleep(sleepMs, signal);
  }
}

/** Before the sources were looked at for the first time nothing is known of them. */
const FIRST_LOOK_MS = 2000;

/** A drill whose time has come. */
interface Due {
  readonly job: Job;
  readonly state: DrillSchedule;
  readonly atMs: number;
}

/** @returns the drill that is due, and when the next one is; null: none, never */
async function findDue(
  job: Job,
  { app, tries }: DrillLoop,
): Promise<{ readonly due: Due | null; readonly nextMs: number | null }> {
  const { dir } = app.context.storage;
  const { source, drill } = job;
  const nowMs = Date.now();
  if (drill.patterns.length === 0) {
    return { due: null, nextMs: null };
  }
  const known = await readDrillSchedule(dir, source);
  const state = { begun: 0, ...followClock(drill, known ?? newState(nowMs), nowMs) };
  if (state.handledUntilMs !== known?.handledUntilMs) {
    // Also where the clock was set back: seen from a state that is ahead still, each occurrence would be one of before.
    await saveDrillSchedule(dir, source, state);
  }
  const run = dueRun(drill, state, nowMs);
  const isDue = run !== null && !isPutOff(tries.get(source), nowMs);
  return {
    due: isDue ? { job, state, atMs: run.atMs } : null,
    nextMs: nextRunAt(drill, Math.max(nowMs, run?.atMs ?? nowMs)),
  };
}

/** Whether the next try is yet to come; not where the clock was set back meanwhile. */
function isPutOff(tries: Tries | undefined, nowMs: number): boolean {
  const againAtMs = tries?.againAtMs ?? 0;
  return againAtMs > nowMs && againAtMs - nowMs <= BACK_OFF.mostMs;
}

/** Drills a source; without a report it is tried again as long as it may be made up for. */
async function make(due: Due, loop: DrillLoop, signal: AbortSignal): Promise<void> {
  const { app, log } = loop;
  const { job, state, atMs } = due;
  const { source } = job;
  const isHopeless = state.begun >= MOST_CUT_OFF;
  if (isHopeless) {
    log.error({ source, begun: state.begun }, 'drill left out: none of the last came to an end');
  }
  const isDone = isHopeless || (await run(due, loop, signal));
  const handled = { ...state, handledUntilMs: atMs, begun: 0 };
  await saveDrillSchedule(app.context.storage.dir, source, isDone ? handled : state);
}

/** @returns whether there is a report of it */
async function run({ job, state }: Due, loop: DrillLoop, signal: AbortSignal): Promise<boolean> {
  const { app, tries } = loop;
  const { dir } = app.context.storage;
  const { source } = job;
  const { failures = 0 } = tries.get(source) ?? {};
  let isDone = false;

  async function drill(): Promise<void> {
    await saveDrillSchedule(dir, source, { ...state, begun: state.begun + 1 });
    try {
      await drillSource(job, app, { waitMs: 0 }, signal);
      isDone = true;
    } catch (error) {
      // Somebody who drills it by hand at this moment does what is wanted.
      const { code } = toFailure(error);
      isDone = code === 'locked' && (await isDrilled(dir, source));
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

function newState(nowMs: number): DrillSchedule {
  return { firstSeenAtMs: nowMs, handledUntilMs: null, begun: 0 };
}
