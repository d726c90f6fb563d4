import { Cron } from 'croner';
import { createHash } from 'node:crypto';
import type { Job, Schedule } from './job.ts';

/** A run that begins this much after its time is on time: clocks are looked at now and then, not always. */
const PUNCTUAL_MS = 60_000;

/** How far the occurrences of one source have been dealt with. */
export interface ScheduleState {
  /** When the source was seen first; nothing before is missed. */
  readonly firstSeenAtMs: number;
  /** Every occurrence up to here ran, was skipped or was too late to make up for; null: none yet. */
  readonly handledUntilMs: number | null;
}

/** An occurrence whose time has come. */
export interface DueRun {
  readonly atMs: number;
  readonly kind: 'schedule' | 'catch-up';
}

/** The first occurrence after an instant; null where the schedule is off. */
export function nextRunAt(schedule: Schedule, afterMs: number): number | null {
  const { delayMs = 0 } = schedule;
  const next = best(schedule, Math.min, (cron) => cron.nextRun(new Date(afterMs - delayMs)));
  return next === null ? null : next + delayMs;
}

/** The last occurrence at or before an instant; null where the schedule is off. */
export function lastRunAt(schedule: Schedule, atMs: number): number | null {
  const { delayMs = 0 } = schedule;
  // croner's reference is exclusive.
  const reference = new Date(atMs - delayMs + 1);
  const last = best(schedule, Math.max, (cron) => cron.previousRuns(1, reference)[0] ?? null);
  return last === null ? null : last + delayMs;
}

/**
 * The schedule with a delay of its own, so that many do not run at once: always the same one for the same name, from 0 up
 * to the jitter.
 */
export function spread(schedule: Schedule, name: string, jitterMs: number): Schedule {
  if (jitterMs === 0) {
    return schedule;
  }
  const share = createHash('sha256').update(name).digest().readUInt32BE() / 2 ** 32;
  return { ...schedule, delayMs: Math.floor((share * jitterMs) / 1000) * 1000 };
}

/**
 * The distance of the two occurrences around an instant: a schedule of working days has another one on Friday than on
 * Monday. Null where the schedule is off.
 */
export function intervalMs(schedule: Schedule, aroundMs: number): number | null {
  const before = lastRunAt(schedule, aroundMs);
  const after = nextRunAt(schedule, aroundMs);
  return before === null || after === null ? null : after - before;
}

/** The age beyond which a backup taken at this instant is overdue; null: it never is. */
export function maxAgeMs(job: Pick<Job, 'schedule' | 'maxAge'>, takenAtMs: number): number | null {
  if ('ms' in job.maxAge) {
    return job.maxAge.ms;
  }
  const interval = intervalMs(job.schedule, takenAtMs);
  return interval === null ? null : Math.round(interval * job.maxAge.intervals);
}

/**
 * The one run that is due now: on time, or the last of those missed where it is not too late to make up for it.
 * @param state as `followClock` gives it
 */
export function dueRun(schedule: Schedule, state: ScheduleState, nowMs: number): DueRun | null {
  const atMs = lastRunAt(schedule, nowMs);
  if (atMs === null || atMs <= (state.handledUntilMs ?? state.firstSeenAtMs)) {
    return null;
  }
  const lateMs = nowMs - atMs;
  if (lateMs <= PUNCTUAL_MS) {
    return { atMs, kind: 'schedule' };
  }
  return lateMs <= schedule.catchUpMs ? { atMs, kind: 'catch-up' } : null;
}

/**
 * The state as it holds for a clock that was set back: one occurrence that ran already is not run again, but a state
 * from further ahead (a clock that was wrong by days) does not keep the source from running until then.
 */
export function followClock(
  schedule: Schedule,
  state: ScheduleState,
  nowMs: number,
): ScheduleState {
  const aheadMs = state.handledUntilMs ?? state.firstSeenAtMs;
  const next = nextRunAt(schedule, nowMs);
  const nextButOne = next === null ? null : nextRunAt(schedule, next);
  return nextButOne === null || aheadMs < nextButOne
    ? state
    : { firstSeenAtMs: Math.min(state.firstSeenAtMs, nowMs), handledUntilMs: nowMs };
}

function best(
  schedule: Schedule,
  choose: (...instants: readonly number[]) => number,
  occurrence: (cron: Cron) => Date | null,
): number | null {
  const instants = schedule.patterns
    .map((pattern) => occurrence(calculator(pattern, schedule.timezone))?.getTime())
    .filter((instant) => instant !== undefined);
  return instants.length === 0 ? null : choose(...instants);
}

/** croner reckons and never runs anything here: made paused, without a name, so that nothing outlives the call. */
function calculator(pattern: string, timezone: string): Cron {
  return new Cron(spellOut(pattern), {
    timezone,
    paused: true,
    mode: '5-or-6-parts',
    fixedTimeRule: 'no-wildcard',
  });
}

/**
 * The pattern with its hours, minutes and seconds as plain lists where it does not run in every hour. croner makes up
 * for what a change of the clock skips, and runs once what it shows twice, only where it sees neither wildcard nor
 * step; one that runs in every hour goes by the time that passes instead, so it is left with its wildcard.
 */
function spellOut(pattern: string): string {
  const fields = pattern.trim().split(/\s+/);
  if (fields.length < 5) {
    return pattern;
  }
  const hour = fields.length - 4;
  const lists = fields
    .slice(0, hour + 1)
    .map((field, index) => expand(field, index === hour ? 23 : 59));
  if (lists.includes(null)) {
    return pattern;
  }
  if (lists[hour]?.length === 24) {
    return fields.with(hour, '*').join(' ');
  }
  return [...lists.map((list) => list?.join(',')), ...fields.slice(hour + 1)].join(' ');
}

/** Every value of a field of numbers; null where it holds anything else, which is then croner's to judge. */
function expand(field: string, max: number): readonly number[] | null {
  const parts = field.split(',').map((part) => expandPart(part, max));
  return parts.includes(null)
    ? null
    : [...new Set(parts.flatMap((values) => values ?? []))].toSorted((one, other) => one - other);
}

/** One of `*`, `5`, `1-4`, the first and the last also with a step. */
function expandPart(part: string, max: number): readonly number[] | null {
  const single = /^\d+$/.test(part);
  const match = /^(?:\*|(\d+)-(\d+))(?:\/(\d+))?$/.exec(single ? `${part}-${part}` : part);
  if (match === null) {
    return null;
  }
  const first = Number(match[1] ?? 0);
  const last = Number(match[2] ?? max);
  const step = Number(match[3] ?? 1);
  if (last > max || step === 0) {
    return null;
  }
  const values: number[] = [];
  for (let value = first; value <= last; value += step) {
    values.push(value);
  }
  return values.length === 0 ? null : values;
}
