import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConfigProblem } from '../core/discovery.ts';
import { formatDuration } from '../core/duration.ts';
import { toFailure } from '../core/errors.ts';
import type { Job } from '../core/job.ts';
import { storedBytes, type ManifestSummary } from '../core/manifest.ts';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import { aheadMs } from '../core/newest.ts';
import { nextRunAt } from '../core/schedule.ts';
import type { TargetRef } from '../core/target.ts';
import { checkDestination } from './check-destination.ts';
import { failed, good, type Check } from './check-result.ts';
import type { App, BoundSource, Discovery } from './context.ts';
import { SPACE_MARGIN_BYTES } from './backup.ts';
import { checkKeys } from './check-keys.ts';
import { collectProblems } from './status.ts';

export interface CheckReport {
  /** Whether every check is. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

/** Looks whether everything is in place for backups to succeed; leaves nothing behind. Only a cancellation throws. */
export async function check(app: App, signal: AbortSignal): Promise<CheckReport> {
  const discovery = await app.discover(signal);
  const checks = [
    ...checkConfiguration(collectProblems(app, discovery)),
    await checkDocker(app, signal),
    ...checkAnySource(discovery),
  ];
  for (const bound of discovery.sources) {
    checks.push(
      ...(await checkTarget(bound, signal)),
      ...(await checkNeighbours(bound.job, app, signal)),
      checkSchedule(bound.job),
    );
  }
  checks.push(...(await checkKeys(app.context.keys, signal)));
  const { dir } = app.context.storage;
  if (app.storageFailure === null) {
    checks.push(await checkDirectory(dir), ...(await checkCatalog(app)));
  } else {
    const { message, hint } = app.storageFailure;
    checks.push({ name: 'directory', subject: dir, ok: false, message, hint });
  }
  if (app.storageFailure === null) {
    const found = await Promise.all(
      app.context.destinations.map((each) => checkDestination(each, app.context, signal)),
    );
    checks.push(...found.flat());
  }
  signal.throwIfAborted();
  return { ok: checks.every(({ ok }) => ok), checks };
}

/** Unlike `status` this minds a mistyped option too: whoever runs it wants to know whether all is as meant. */
function checkConfiguration(problems: readonly ConfigProblem[]): readonly Check[] {
  if (problems.length === 0) {
    return [good('configuration', 'options', 'every option has a valid value')];
  }
  return problems.map(({ option, message, hint }) => ({
    name: 'configuration',
    subject: option,
    ok: false,
    message,
    hint: hint ?? 'Correct the value; docs/configuration.md describes every option.',
  }));
}

async function checkDocker(app: App, signal: AbortSignal): Promise<Check> {
  try {
    const { engineVersion } = await app.ping(signal);
    return good('docker', 'engine', `Docker Engine ${engineVersion} answers`);
  } catch (error) {
    return failed('docker', 'engine', error);
  }
}

function checkAnySource({ sources, docker, problems }: Discovery): readonly Check[] {
  // Where Docker does not answer it is not known which sources there are.
  if (sources.length > 0 || docker !== null) {
    return [];
  }
  const isHeldBack = problems.some(({ severity }) => severity === 'source');
  return [
    {
      name: 'sources',
      subject: 'sources',
      ok: false,
      message: isHeldBack
        ? 'no source can be backed up, every one has a problem'
        : 'there is no source, so nothing is backed up',
      hint: isHeldBack
        ? 'Solve the problems of the sources above.'
        : 'Put the label backupd.enable=true on the container of a database. It is found when it belongs to the compose project of backupd; BACKUPD_DISCOVER=host looks further, BACKUPD_SOURCES needs no labels.',
    },
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
  const next = nextRunAt(schedule, Date.now());
  if (next !== null) {
    return good('schedule', source, `next run at ${new Date(next).toISOString()}`);
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

/** Rights alone do not tell: root has them on a read-only mount too, so a file is really written. */
async function checkDirectory(dir: string): Promise<Check> {
  const path = join(dir, `.check-${randomBytes(4).toString('hex')}`);
  try {
    try {
      await writeFile(path, 'backupd check\n', { flag: 'wx', mode: 0o600, flush: true });
    } finally {
      await rm(path, { force: true });
    }
    return good('directory', dir, 'can be written');
  } catch (error) {
    return {
      name: 'directory',
      subject: dir,
      ok: false,
      message: `cannot be written: ${toFailure(error).message}`,
      hint: 'Mount a volume there that is not read-only, has room, and belongs to the user that backupd runs as.',
    };
  }
}

async function checkCatalog(app: App): Promise<readonly Check[]> {
  const { catalog, storage } = app.context;
  try {
    const entries = await catalog.all();
    const problems = await catalog.problems();
    const found = problems.map(({ path, message, hint }) => ({
      name: 'catalog' as const,
      subject: path,
      ok: false,
      message,
      hint,
    }));
    const whole = good(
      'catalog',
      storage.dir,
      `${entries.length} backups, nothing damaged or foreign`,
    );
    const { freeBytes } = await storage.space();
    return [
      ...(found.length === 0 ? [whole] : found),
      checkSpace(storage.dir, entries, freeBytes),
      checkClock(entries),
    ];
  } catch (error) {
    return [failed('catalog', storage.dir, error)];
  }
}

/** Whether one more backup of every source fits, as large as its newest. */
function checkSpace(dir: string, entries: readonly CatalogEntry[], freeBytes: number): Check {
  const newest = [...Map.groupBy(entries, ({ manifest }) => manifest.source).values()].map(
    (group) =>
      group
        .map(({ manifest }) => manifest)
        .toSorted(byStart)
        .at(-1),
  );
  const neededBytes = newest.reduce(
    (sum, manifest) => sum + (manifest === undefined ? 0 : storedBytes(manifest)),
    0,
  );
  const free = `${Math.floor(freeBytes / 1e6)} MB free`;
  const needed = `the newest backups of all sources have ${Math.ceil(neededBytes / 1e6)} MB, and ${Math.ceil(SPACE_MARGIN_BYTES / 1e6)} MB are to spare`;
  if (freeBytes >= neededBytes + SPACE_MARGIN_BYTES) {
    return good('space', dir, `${free}, ${needed}`);
  }
  return {
    name: 'space',
    subject: dir,
    ok: false,
    message: `${free}, ${needed}`,
    hint: 'Free space there, make the volume larger, or keep fewer backups (BACKUPD_KEEP, then "backupd prune").',
  };
}

function byStart(one: ManifestSummary, other: ManifestSummary): number {
  return Date.parse(one.startedAt) - Date.parse(other.startedAt);
}

function checkClock(entries: readonly CatalogEntry[]): Check {
  const newest = entries
    .map(({ manifest }) => manifest)
    .toSorted(byStart)
    .at(-1);
  const ahead = newest === undefined ? 0 : aheadMs(newest.startedAt, Date.now());
  if (newest === undefined || ahead === 0) {
    return good('clock', 'clock', `${new Date().toISOString()}, no backup is from the future`);
  }
  return {
    name: 'clock',
    subject: 'clock',
    ok: false,
    message: `backup ${newest.id} of "${newest.source}" is ${formatDuration(ahead)} ahead of this clock`,
    hint: 'Set the clock of this host right. Where it is right and was wrong before, remove that backup or wait until its time has come.',
  };
}
