import type { JobsFound } from './config/jobs.ts';
import { plainJob } from './config/to-job.ts';
import type { ConfigProblem } from './core/discovery.ts';
import { BackupdError, toFailure } from './core/errors.ts';
import { specName, type Job, type TargetSpec } from './core/job.ts';
import { spread } from './core/schedule.ts';
import type { Manifest } from './core/manifest.ts';
import type { Source } from './core/source.ts';
import type { Engine, TargetRef } from './core/target.ts';
import { inspectContainer, resolveContainer } from './docker/containers.ts';
import { whyPerishable } from './docker/own-storage.ts';
import type { App, BoundSource } from './jobs/context.ts';
import { detectEngine } from './sources/detect.ts';
import { loadEngine } from './sources/engines.ts';
import type { Storage } from './store/storage.ts';
import type { Look } from './surroundings.ts';
import {
  containerOf,
  containersSeen,
  jobsSeen,
  locateTarget,
  refindTarget,
  type TargetParts,
} from './targets.ts';

/** What binding a source takes. */
export interface BindParts extends TargetParts {
  readonly storage: Storage;
  /** The image for containers of our own; null: the one that this process runs in. */
  readonly helperImage: string | null;
}

/** Finds the sources that are configured, and binds them to their containers as these are now. */
export function sourceBinder(parts: BindParts): Pick<App, 'discover' | 'bind'> {
  // By container id: what a container runs does not change.
  const engines = new Map<string, Engine>();
  return {
    async discover(signal) {
      const seen = await parts.surroundings.look(signal);
      const found = jobsSeen(parts, seen);
      const sources: BoundSource[] = [];
      const problems: ConfigProblem[] = [
        ...parts.config.problems,
        ...found.problems,
        ...perishableStorage(parts.storage.dir, seen),
      ];
      for (const job of found.jobs) {
        const bound = await bindJob({ parts, engines, found, seen }, job, signal);
        if ('job' in bound) {
          sources.push(bound);
        } else {
          problems.push(bound);
        }
      }
      return { sources, problems, docker: seen.failure };
    },

    async bind(backup, into, signal) {
      const seen = await parts.surroundings.look(signal);
      containersSeen(seen);
      return into === null ? bindOwn(parts, backup, seen) : bindTo(parts, backup, into, seen);
    },
  };
}

/** Backups that are gone with the container are no backups; still they are made, since somebody may want just that. */
function perishableStorage(dir: string, { mounts }: Look): readonly ConfigProblem[] {
  const why = mounts === null ? null : whyPerishable(dir, mounts);
  if (why === null) {
    return [];
  }
  const hint = `Mount a volume with a name or a directory of the host there, for example "backups:${dir}".`;
  const message = `"${dir}" ${why}`;
  return [{ source: null, option: 'BACKUPD_DIR', message, hint, severity: 'loud' }];
}

async function sourceOf(
  parts: BindParts,
  job: Job,
  engine: Engine,
  runPrefix = `${parts.storage.identity}/${job.source}/`,
): Promise<Source> {
  const loaded = await loadEngine(engine);
  return loaded.source({
    docker: parts.docker,
    job,
    runPrefix,
    locate: async (signal) => locateTarget(parts, job, signal),
    refind: async (at, signal) => refindTarget(parts, at, signal),
    helperImage: async (signal) => helperImageOf(parts, signal),
  });
}

/** The image for containers of our own. @throws BackupdError `target-unavailable` where this is no container */
export async function helperImageOf(parts: BindParts, signal: AbortSignal): Promise<string> {
  return parts.helperImage ?? ownImage(parts, signal);
}

async function ownImage({ surroundings }: BindParts, signal: AbortSignal): Promise<string> {
  const image = await surroundings.imageId(signal);
  if (image === null) {
    throw new BackupdError('target-unavailable', 'backupd does not run in its own image here', {
      hint: 'Volumes are reached through a container of that image: run backupd in Docker, as the README shows.',
    });
  }
  return image;
}

interface Binding {
  readonly parts: BindParts;
  readonly engines: Map<string, Engine>;
  readonly found: JobsFound;
  readonly seen: Look;
}

/** What keeps one source from being bound is a problem of that source, and of no other. */
async function bindJob(
  { parts, engines, found, seen }: Binding,
  job: Job,
  signal: AbortSignal,
): Promise<BoundSource | ConfigProblem> {
  try {
    const { target } = job;
    const engine =
      target.by === 'volume'
        ? 'volume'
        : (job.engine ?? (await findEngine(parts, engines, containerOf(target, seen), signal)));
    if (engine === null) {
      return unknownEngine(job);
    }
    const { identity } = parts.storage;
    const name = `${identity}/${job.source}`;
    const schedule = spread(job.schedule, name, parts.config.values.jitter);
    const bound = { ...job, engine, schedule };
    const options = found.options.get(job.source) ?? [];
    return { job: bound, source: await sourceOf(parts, bound, engine), options };
  } catch (error) {
    signal.throwIfAborted();
    const { message, hint } = toFailure(error);
    return { source: job.source, option: specName(job.target), message, hint, severity: 'source' };
  }
}

/** The engine that a container runs; null where nothing tells. */
async function findEngine(
  { docker }: BindParts,
  known: Map<string, Engine>,
  containerId: string,
  signal: AbortSignal,
): Promise<Engine | null> {
  const container = await inspectContainer(docker, containerId, signal);
  const engine = known.get(containerId) ?? (await detectEngine(docker, container, signal));
  if (engine !== null) {
    known.set(containerId, engine);
  }
  return engine;
}

function unknownEngine(job: Job): ConfigProblem {
  return {
    source: job.source,
    option: `backupd.engine of "${specName(job.target)}"`,
    message: `it cannot be told which database "${specName(job.target)}" runs`,
    hint: 'Set the label backupd.engine, for example to postgres.',
    severity: 'source',
  };
}

/** What is bound. */
type Backup = Parameters<App['bind']>[0];

/** The source as it is configured. */
async function bindOwn(parts: BindParts, backup: Backup, seen: Look): Promise<BoundSource> {
  const { source, engine, target } = backup;
  const job = jobsSeen(parts, seen).jobs.find((found) => found.source === source);
  if (job === undefined && 'volume' in target) {
    // A volume needs no login: the backup says all that there is to know.
    return bindTo(parts, backup, target.volume, seen);
  }
  if (job === undefined) {
    throw new BackupdError(
      'target-unavailable',
      `source "${source}" is not configured here, so nothing says where to restore it`,
      { hint: 'Name a container with --into, or give its own the label backupd.enable=true.' },
    );
  }
  return { job, source: await sourceOf(parts, job, engine), options: [] };
}

/**
 * Any container or volume, also one that is gone, as is told when it is located; how to log in there is said by the
 * source that lives there, if one does.
 */
async function bindTo(
  parts: BindParts,
  { source, engine }: Pick<Backup, 'source' | 'engine'>,
  into: string,
  seen: Look,
): Promise<BoundSource> {
  const target = engine === 'volume' ? volumeSpec(into) : findContainer(into, seen);
  const there = jobsSeen(parts, seen).jobs.find((job) => livesIn(job, target, seen));
  const job: Job = {
    ...plainJob(parts.config, { name: source, engine, target }),
    user: there?.user ?? null,
    passwordFile: there?.passwordFile ?? null,
  };
  return { job, source: await sourceOf(parts, job, engine), options: [] };
}

/** What a drill made for a backup: nothing but the backup says how to log in there. */
export async function bindScratch(
  parts: BindParts,
  {
    manifest,
    target,
    runPrefix,
  }: {
    readonly manifest: Manifest;
    readonly target: TargetSpec;
    readonly runPrefix: string;
  },
  signal: AbortSignal,
): Promise<{ readonly source: Source; readonly target: TargetRef }> {
  const { source: name, engine } = manifest;
  const job = plainJob(parts.config, { name, engine, target });
  const source = await sourceOf(parts, job, engine, runPrefix);
  return { source, target: await source.locate(signal) };
}

function volumeSpec(volume: string): TargetSpec {
  return { by: 'volume', volume, labelled: null };
}

function findContainer(into: string, seen: Look): TargetSpec {
  try {
    const { name } = resolveContainer(containersSeen(seen), into, seen.project);
    return { by: 'name', container: name };
  } catch (error) {
    if (error instanceof BackupdError && error.code === 'target-unavailable') {
      return { by: 'name', container: into };
    }
    throw error;
  }
}

function livesIn(job: Job, target: TargetSpec, { containers }: Look): boolean {
  if (job.target.by !== 'discovery') {
    return specName(job.target) === specName(target);
  }
  const { containerId } = job.target;
  return containers?.find(({ id }) => id === containerId)?.name === specName(target);
}
