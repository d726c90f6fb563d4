import type { Job } from '../core/job.ts';
import { nextRunAt } from '../core/schedule.ts';
import type { TargetRef } from '../core/target.ts';
import { failed, good, note, type Check } from './check-result.ts';
import type { App, BoundSource, Discovery } from './context.ts';

/** How many of the next runs are shown. */
const SHOWN_RUNS = 3;

/** Whether a source can be backed up: its target is there, the login works, and when that will be. */
export async function checkSource(
  bound: BoundSource,
  app: App,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  return [
    ...(await checkTarget(bound, signal)),
    ...(await checkNeighbours(bound.job, app, signal)),
    checkSchedule(bound.job),
  ];
}

async function checkTarget(
  { job, source }: BoundSource,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const subject = job.source;
  let target: TargetRef;
  try {
    target = await source.locate(signal);
  } catch (error) {
    return [failed('target', subject, error)];
  }
  const found = good('target', subject, describeTarget(target));
  try {
    const { toolVersion, serverVersion } = await source.probe(target, signal);
    return [
      found,
      good(
        'login',
        subject,
        `${'volume' in target ? '' : 'server '}${serverVersion}, ${toolVersion}`,
      ),
    ];
  } catch (error) {
    return [found, failed('login', subject, error)];
  }
}

function describeTarget(target: TargetRef): string {
  if ('container' in target) {
    return `container "${target.container}" with image ${target.image}`;
  }
  return target.made === null
    ? `directory ${target.volume}`
    : `volume "${target.volume}" of driver ${target.made.driver}`;
}

/** Whether every container that is to hold still is there. */
async function checkNeighbours(
  { source, stop, pause }: Job,
  { context }: App,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  if (stop.length + pause.length === 0) {
    return [];
  }
  try {
    const running = await context.neighbours.findRunning({ stop, pause }, signal);
    const names = running.map(({ container }) => container).join(', ');
    return [good('containers', source, `would hold still: ${names === '' ? 'none runs' : names}`)];
  } catch (error) {
    return [failed('containers', source, error)];
  }
}

function checkSchedule({ source, schedule }: Job): Check {
  const next = nextRuns(schedule);
  if (next.length > 0) {
    const runs = next.map((at) => describeInstant(at, schedule.timezone)).join(', ');
    return good('schedule', source, `next runs at ${runs} (${schedule.timezone})`);
  }
  if (schedule.patterns.length === 0) {
    return good('schedule', source, 'the schedule is off: it is backed up by hand only');
  }
  return {
    name: 'schedule',
    subject: source,
    ok: false,
    message: `the schedule "${schedule.patterns.join('; ')}" never occurs again`,
    hint: 'Correct BACKUPD_SCHEDULE or the label backupd.schedule.',
  };
}

function nextRuns(schedule: Job['schedule']): readonly number[] {
  const runs: number[] = [];
  let next = nextRunAt(schedule, Date.now());
  while (next !== null && runs.length < SHOWN_RUNS) {
    runs.push(next);
    next = nextRunAt(schedule, next);
  }
  return runs;
}

/** As a clock on a wall there shows it: `2026-11-29 02:00`. */
export function describeInstant(atMs: number, timezone: string): string {
  return new Intl.DateTimeFormat('sv-SE', {
    timeZone: timezone,
    dateStyle: 'short',
    timeStyle: 'short',
  }).format(atMs);
}

/** What runs beside the sources and nobody saves; not a failure, since it may be meant. */
export async function checkUnsaved(
  { inspection }: Pick<App, 'inspection'>,
  { sources, docker }: Discovery,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  if (docker !== null) {
    // That it does not answer is told once.
    return [];
  }
  const jobs = sources.map(({ job }) => job);
  try {
    const { databases, volumes } = await inspection.findUnsaved(jobs, signal);
    return [
      ...databases.map(({ container, engine }) =>
        note(
          'unsaved',
          container,
          `the container looks like ${engine}, and nothing backs it up`,
          'Give it the label backupd.enable=true; backupd.enable=false says that this is meant.',
        ),
      ),
      ...volumes.map(({ volume, containers }) =>
        note(
          'unsaved',
          volume,
          `nothing backs this volume of ${containers.join(', ')} up`,
          'Give the container the label backupd.volumes with its name; backupd.enable=false says that this is meant.',
        ),
      ),
    ];
  } catch (error) {
    signal.throwIfAborted();
    return [failed('unsaved', 'containers', error)];
  }
}
