import { dueRun, followClock, nextRunAt, type ScheduleState } from '../core/schedule.ts';
import type { Job } from '../core/job.ts';
import { drillSource } from '../jobs/drill.ts';
import { readDrillSchedule, saveDrillSchedule } from '../jobs/schedule-record.ts';
import { sweepDrills } from '../jobs/sweep-drills.ts';
import { alarm } from './alarm.ts';
import { attempt, LONGEST_SLEEP_MS, type Loops } from './loops.ts';

/**
 * Drills each source when its time has come, one after the other, until the signal aborts; first removes what those left
 * that died. One that the signal cuts off is made up for by the next life.
 */
export async function keepDrills(loops: Loops, signal: AbortSignal): Promise<void> {
  const { app } = loops;
  const pause = alarm();
  let isSwept = false;
  while (!signal.aborted) {
    let sleepMs = LONGEST_SLEEP_MS;
    async function look(): Promise<void> {
      if (!isSwept) {
        // What a dead process left in the same container is known at once, elsewhere after some seconds.
        await sweepDrills(app, signal);
        isSwept = true;
      }
      for (const { job } of loops.seen.sources) {
        const nextMs = await runIfDue(job, loops, signal);
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
async function runIfDue(job: Job, loops: Loops, signal: AbortSignal): Promise<number | null> {
  const { dir } = loops.app.context.storage;
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
  if (due !== null) {
    await attempt(loops, 'drill not made', () => run(job, loops, signal), signal);
    if (!signal.aborted) {
      await saveDrillSchedule(dir, source, handled(state, due.atMs));
    }
  }
  return nextRunAt(drill, Math.max(nowMs, due?.atMs ?? nowMs));
}

async function run(job: Job, { app }: Loops, signal: AbortSignal): Promise<void> {
  // Somebody who drills it by hand at this moment does what is wanted.
  await drillSource(job, app, { waitMs: 0 }, signal);
}

function handled(state: ScheduleState, untilMs: number): ScheduleState {
  return { ...state, handledUntilMs: untilMs };
}
