import { basename, dirname } from 'node:path';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import type { ConfigProblem } from '../core/discovery.ts';
import { formatDuration } from '../core/duration.ts';
import { toFailure } from '../core/errors.ts';
import type { Job } from '../core/job.ts';
import { isBackupId } from '../core/layout.ts';
import { aheadMs } from '../core/newest.ts';
import { describeDrills } from '../core/drill-standing.ts';
import { judgeSource, type Observed } from '../core/standing.ts';
import type { SourceStatus, StatusReport } from '../core/status.ts';
import { readAttempts } from '../store/attempts.ts';
import { readDrills } from '../store/drills.ts';
import { knownSources } from '../store/known-sources.ts';
import { readLastRestore } from '../store/last-restore.ts';
import { readLock } from '../store/read-lock.ts';
import { readOwed } from '../store/owed.ts';
import { readPrevious } from '../store/previous.ts';
import { sourcesWith } from '../store/state-file.ts';
import { describeChannel, listChannels } from './channel-status.ts';
import type { App, Discovery } from './context.ts';
import {
  describeRetention,
  describeTrouble,
  listDestinations,
  observeDestinations,
} from './destination-status.ts';
import { readDrillSchedule, readSchedule } from './schedule-record.ts';

/**
 * How every source stands, from what is on disk; asks neither Docker nor a network.
 *
 * Unhealthy are: a source that is, or whose backups cannot be read, a newest backup that is damaged or dated in the future, configuration that keeps one or all from running,
 * Docker that cannot be asked, and no source at all. What is merely said (an unknown variable, a folder that is not ours)
 * does not make it unhealthy: the backups are being made.
 * @throws BackupdError `storage-unavailable`
 */
export async function buildStatus(
  app: Pick<App, 'problems' | 'context' | 'settings' | 'storageFailure'>,
  discovery: Discovery,
  now: Date,
): Promise<StatusReport> {
  const config = collectProblems(app, discovery);
  if (app.storageFailure !== null) {
    // Nothing is known of any source then.
    const problems = [app.storageFailure, ...describeConfig(config)];
    return { healthy: false, sources: [], destinations: [], problems };
  }
  const sources = await listStatuses(app, discovery, now);
  const destinations = await listDestinations(app, sources, now);
  const storage = await describeStorage(app, sources);
  const grave = [
    ...storage.grave,
    ...describeFuture(sources, now.getTime()),
    ...(await describeOwed(app.context.storage.dir)),
    ...destinations.flatMap((destination) => describeTrouble(destination)),
    ...describeConfig(config.filter(({ severity }) => severity !== 'loud')),
    ...(discovery.docker === null ? [] : [discovery.docker]),
    ...(sources.length === 0 && discovery.docker === null ? [NO_SOURCE] : []),
  ];
  const said = [
    ...describeConfig(config.filter(({ severity }) => severity === 'loud')),
    ...describeSuspicious(sources),
    ...describeRetention(sources, destinations),
    ...describeDrills(sources),
    ...storage.said,
    ...(await listChannels(app)).flatMap((channel) => describeChannel(channel)),
  ];
  return {
    healthy: grave.length === 0 && sources.every(({ healthy }) => healthy),
    sources,
    destinations,
    problems: [...grave, ...said],
  };
}

/**
 * How every source stands: those that are there, and those that are gone while they have backups. Reads no more of the
 * catalog than that takes.
 */
export async function listStatuses(
  app: Pick<App, 'problems' | 'context'>,
  discovery: Discovery,
  now: Date,
): Promise<readonly SourceStatus[]> {
  const jobs = await listJobs(app, discovery, collectProblems(app, discovery));
  const destinations = await observeDestinations(app.context);
  const sources: SourceStatus[] = [];
  for (const { job, present } of jobs) {
    const seen = { present, destinations, nowMs: now.getTime() };
    const status = await readSource(app, job, seen);
    if (status !== null) {
      sources.push(status);
    }
  }
  return sources;
}

/** The problems of the configuration and those that looking at the containers found, each once. */
export function collectProblems(
  app: Pick<App, 'problems'>,
  discovery: Pick<Discovery, 'problems'>,
): readonly ConfigProblem[] {
  const byText = new Map<string, ConfigProblem>();
  for (const problem of [...app.problems, ...discovery.problems]) {
    byText.set(JSON.stringify([problem.source, problem.option, problem.message]), problem);
  }
  return [...byText.values()];
}

export type StatusProblem = StatusReport['problems'][number];

const NO_SOURCE: StatusProblem = {
  code: 'config-invalid',
  message: 'there is no source',
  hint: 'Put the label backupd.enable=true on the container of a database, or name one in BACKUPD_SOURCES.',
};

function describeConfig(problems: readonly ConfigProblem[]): readonly StatusProblem[] {
  return problems.map(({ option, message, hint, severity }) => ({
    code: severity === 'loud' ? 'config-warning' : 'config-invalid',
    message: `${option}: ${message}`,
    hint,
  }));
}

function describeSuspicious(sources: readonly SourceStatus[]): readonly StatusProblem[] {
  return sources.flatMap(({ source, suspicious }) =>
    suspicious === null
      ? []
      : [
          {
            code: 'suspicious',
            message: `the newest backup of "${source}", ${suspicious.id}, is suspicious: its source had shrunk`,
            hint: `Look at the source. If it was meant: "backupd pin ${suspicious.id}".`,
          },
        ],
  );
}

/** Last good backups that are dated in the future: how old they are is not known, and so not whether they are late. */
function describeFuture(sources: readonly SourceStatus[], nowMs: number): readonly StatusProblem[] {
  return sources.flatMap(({ source, lastSuccessAt, lastSuccessId }) => {
    const ahead = lastSuccessAt === null ? 0 : aheadMs(lastSuccessAt, nowMs);
    if (ahead === 0) {
      return [];
    }
    return [
      {
        code: 'clock',
        message: `the last good backup of "${source}", ${lastSuccessId}, is ${formatDuration(ahead)} ahead of this clock: how old it is cannot be told`,
        hint: `Set the clock of this host right. Where it is right now: "backupd backup ${source}" makes one with the right time.`,
      },
    ];
  });
}

/** Containers that somebody stopped who died, or that could not be started again: an application is down because of us. */
async function describeOwed(dir: string): Promise<readonly StatusProblem[]> {
  const problems: StatusProblem[] = [];
  for (const source of await sourcesWith(dir, 'owed')) {
    // A record that cannot be read is a problem of the catalog.
    const owed = await readOwed(dir, source).catch(() => null);
    const isRunning = (await readLock(dir, source))?.alive === true;
    for (const { container, how } of isRunning ? [] : (owed?.halted ?? [])) {
      const [done, again] = how === 'stop' ? ['stopped', 'start'] : ['paused', 'unpause'];
      problems.push({
        code: 'containers-halted',
        message: `container "${container}" was ${done} for "${source}" and does not run again`,
        hint: `The daemon lets it go within a minute. If it cannot, its log says why; by hand: "docker ${again} ${container}".`,
      });
    }
  }
  return problems;
}

interface StorageProblems {
  /** What is wrong with a backup that is as new as the one that counts as the last good one, or newer. */
  readonly grave: readonly StatusProblem[];
  readonly said: readonly StatusProblem[];
}

async function describeStorage(
  { context }: Pick<App, 'context'>,
  sources: readonly SourceStatus[],
): Promise<StorageProblems> {
  const { dir } = context.storage;
  const found = await context.catalog.problems();
  const [first] = found;
  if (first === undefined) {
    return { grave: [], said: [] };
  }
  const newest = new Map(sources.map(({ source, lastSuccessId }) => [source, lastSuccessId ?? '']));
  const unwell = new Set(sources.filter(({ healthy }) => !healthy).map(({ source }) => source));
  const grave = found.filter(({ path }) => {
    const [id, folder] = [basename(path), dirname(path)];
    if (folder === dir) {
      return unwell.has(id);
    }
    const lastGood = dirname(folder) === dir ? newest.get(basename(folder)) : undefined;
    return lastGood !== undefined && isBackupId(id) && id >= lastGood;
  });
  const shown = grave[0] ?? first;
  const problem = {
    code: 'storage-damaged',
    message: `${found.length} in ${dir} that cannot be used, the first is ${shown.path}: ${shown.message}`,
    hint: 'Run "backupd check" to see all of them. They are neither counted nor removed.',
  };
  return grave.length > 0 ? { grave: [problem], said: [] } : { grave: [], said: [problem] };
}

interface ListedJob {
  readonly job: Job;
  readonly present: boolean;
}

/** Those that are there, and those that once were and were not forgotten; by name. */
async function listJobs(
  { context }: Pick<App, 'context'>,
  discovery: Discovery,
  problems: readonly ConfigProblem[],
): Promise<readonly ListedJob[]> {
  const there = new Map(discovery.sources.map(({ job }) => [job.source, job]));
  const misconfigured = new Set(problems.map(({ source }) => source));
  const gone = (await knownSources(context.storage.dir)).filter(({ source }) => !there.has(source));
  return [
    ...[...there.values()].map((job) => ({ job, present: true })),
    // Nobody knows whether it is gone where Docker is silent, or where its own configuration keeps it from being seen.
    ...gone.map((job) => ({
      job,
      present: discovery.docker !== null || misconfigured.has(job.source),
    })),
  ].toSorted((one, other) => (one.job.source < other.job.source ? -1 : 1));
}

/** Null for one that is gone and has no backups. Where its backups cannot be read it is as if there were none: not well. */
async function readSource(
  { context }: Pick<App, 'context'>,
  job: Job,
  seen: Pick<Observed, 'present' | 'destinations'> & { readonly nowMs: number },
): Promise<SourceStatus | null> {
  const { present, destinations, nowMs } = seen;
  const { dir } = context.storage;
  const [entries, record, lock, previous, lastRestore, schedule, drills, drillSchedule] =
    await Promise.all([
      readEntries(context, job.source),
      readAttempts(dir, job.source),
      readLock(dir, job.source),
      readPrevious(dir, job.source),
      readLastRestore(dir, job.source),
      readSchedule(dir, job.source),
      readDrills(dir, job.source),
      readDrillSchedule(dir, job.source),
    ]);
  const running = lock?.alive === true && lock.run !== null;
  if (!present && entries?.length === 0) {
    return null;
  }
  const status = judgeSource(
    {
      job,
      present,
      running,
      entries: entries ?? [],
      record,
      previous,
      lastRestore,
      destinations,
      schedule,
      drills: { record: drills, schedule: drillSchedule },
    },
    nowMs,
  );
  return entries === null ? { ...status, healthy: false } : status;
}

/** Null where they cannot be read: that is a problem of the catalog, and no other source is to be unknown for it. */
async function readEntries(
  { catalog }: App['context'],
  source: string,
): Promise<readonly CatalogEntry[] | null> {
  try {
    return await catalog.entries(source);
  } catch (error) {
    if (toFailure(error).code === 'storage-unavailable') {
      return null;
    }
    throw error;
  }
}
