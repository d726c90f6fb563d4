import type Docker from 'dockerode';
import { jobsFrom, plainJob, type JobsFound } from './config/jobs.ts';
import type { LoadedConfig } from './config/load.ts';
import { COMPOSE_PROJECT, type ConfigProblem, type ContainerListing } from './core/discovery.ts';
import { BackupdError, toFailure, type Failure } from './core/errors.ts';
import type { Job } from './core/job.ts';
import type { Engine, Source, TargetRef } from './core/source.ts';
import {
  findOwnContainer,
  inspectContainer,
  listContainers,
  resolveContainer,
} from './docker/containers.ts';
import type { App, BoundSource, Discovery } from './jobs/context.ts';
import { detectEngine } from './sources/detect.ts';
import { postgres } from './sources/postgres/postgres.ts';
import type { Storage } from './store/storage.ts';

/** What there is around this process. */
export interface Surroundings {
  /** The compose project this process runs in; null outside compose. */
  project(signal?: AbortSignal): Promise<string | null>;
  /** @throws BackupdError `target-unavailable` */
  containers(signal: AbortSignal): Promise<readonly ContainerListing[]>;
}

const OWN_TIMEOUT_MS = 10_000;

/** Looks around when first asked. */
export function surroundingsOf(docker: Docker): Surroundings {
  // Does not change while this process lives; asked again only where Docker did not answer.
  let known: { readonly project: string | null } | null = null;
  return {
    async project(signal = AbortSignal.timeout(OWN_TIMEOUT_MS)) {
      if (known === null) {
        const own = await findOwnContainer(docker, signal);
        known = { project: own?.labels[COMPOSE_PROJECT] ?? null };
      }
      return known.project;
    },
    containers: async (signal) => listContainers(docker, signal),
  };
}

export interface Parts {
  readonly config: LoadedConfig;
  readonly docker: Docker;
  readonly surroundings: Surroundings;
  readonly storage: Storage;
}

interface Look {
  readonly containers: readonly ContainerListing[] | null;
  readonly project: string | null;
  readonly failure: Failure | null;
}

export type SourceBinder = Pick<App, 'discover' | 'bind'>;

/** Finds the sources that are configured, and binds them to their containers as these are now. */
export function sourceBinder({ config, docker, surroundings, storage }: Parts): SourceBinder {
  // By container id: what a container runs does not change.
  const engines = new Map<string, Engine>();

  async function look(signal: AbortSignal): Promise<Look> {
    try {
      const project = await surroundings.project(signal);
      return { containers: await surroundings.containers(signal), project, failure: null };
    } catch (error) {
      signal.throwIfAborted();
      return { containers: null, project: null, failure: toFailure(error) };
    }
  }

  function jobsIn({ containers, project }: Look): JobsFound {
    return jobsFrom(config, containers, { project });
  }

  async function locateJob(job: Job, signal: AbortSignal): Promise<TargetRef> {
    const seen = await look(signal);
    if (seen.containers === null) {
      throw asError(seen.failure);
    }
    const target =
      job.target.by === 'name'
        ? job.target
        : jobsIn(seen).jobs.find((found) => found.source === job.source)?.target;
    if (target === undefined) {
      throw new BackupdError(
        'target-unavailable',
        `no container has the labels of source "${job.source}" any more`,
        { hint: `Start it, or run "backupd forget ${job.source}" where it is gone for good.` },
      );
    }
    const containerId =
      target.by === 'discovery'
        ? target.containerId
        : resolveContainer(seen.containers, target.container, seen.project).id;
    return inspectTarget(containerId, signal);
  }

  async function inspectTarget(containerId: string, signal: AbortSignal): Promise<TargetRef> {
    const { id, name, image, imageId, repoDigests, running, state } = await inspectContainer(
      docker,
      containerId,
      signal,
    );
    if (!running) {
      throw new BackupdError('target-unavailable', `container "${name}" is not running: ${state}`, {
        hint: `Start it with "docker start ${name}".`,
      });
    }
    return { containerId: id, container: name, image, imageId, repoDigests };
  }

  async function refind(at: TargetRef, signal: AbortSignal): Promise<TargetRef | null> {
    const containers = await surroundings.containers(signal);
    const found =
      containers.find(({ id }) => id === at.containerId) ??
      containers.find(({ name }) => name === at.container);
    return found === undefined ? null : inspectTarget(found.id, signal);
  }

  function sourceOf(job: Job): Source {
    return postgres({
      docker,
      job,
      runPrefix: `${storage.identity}/${job.source}/`,
      locate: async (signal) => locateJob(job, signal),
      refind,
    });
  }

  /** The engine of a job, configured or found out; null where nothing tells. */
  async function engineOf(job: Job, seen: Look, signal: AbortSignal): Promise<Engine | null> {
    if (job.engine !== null || seen.containers === null) {
      return job.engine;
    }
    const { id } =
      job.target.by === 'discovery'
        ? { id: job.target.containerId }
        : resolveContainer(seen.containers, job.target.container, seen.project);
    const engine =
      engines.get(id) ??
      (await detectEngine(docker, await inspectContainer(docker, id, signal), signal));
    if (engine !== null) {
      engines.set(id, engine);
    }
    return engine;
  }

  async function bindJob(
    job: Job,
    found: JobsFound,
    seen: Look,
    signal: AbortSignal,
  ): Promise<BoundSource | ConfigProblem> {
    try {
      const engine = await engineOf(job, seen, signal);
      if (engine === null) {
        return unknownEngine(job);
      }
      const bound = { ...job, engine };
      return { job: bound, source: sourceOf(bound), options: found.options.get(job.source) ?? [] };
    } catch (error) {
      signal.throwIfAborted();
      const { message, hint } = toFailure(error);
      return {
        source: job.source,
        option: job.target.container,
        message,
        hint,
        severity: 'source',
      };
    }
  }

  return {
    async discover(signal): Promise<Discovery> {
      const seen = await look(signal);
      const found = jobsIn(seen);
      const sources: BoundSource[] = [];
      const problems: ConfigProblem[] = [...config.problems, ...found.problems];
      for (const job of found.jobs) {
        const bound = await bindJob(job, found, seen, signal);
        if ('job' in bound) {
          sources.push(bound);
        } else {
          problems.push(bound);
        }
      }
      return { sources, problems, docker: seen.failure };
    },

    async bind(backup, into, signal) {
      const seen = await look(signal);
      const found = jobsIn(seen);
      const own = found.jobs.find((job) => job.source === backup.source);
      if (seen.containers === null) {
        throw asError(seen.failure);
      }
      if (into === null) {
        if (own === undefined) {
          throw new BackupdError(
            'target-unavailable',
            `source "${backup.source}" is not configured here, so nothing says where to restore it`,
            {
              hint: 'Name a container with --into, or give its own the label backupd.enable=true.',
            },
          );
        }
        return { job: own, source: sourceOf(own), options: [] };
      }
      const { id, name } = resolveContainer(seen.containers, into, seen.project);
      const job: Job = {
        ...plainJob(config, {
          name: backup.source,
          engine: backup.engine,
          target: { by: 'name', container: name },
        }),
        // How to log in there is said by the source that lives there, if one does.
        ...loginOf(found.jobs.find(({ target }) => livesIn(target, id, name))),
      };
      return { job, source: sourceOf(job), options: [] };
    },
  };
}

function asError(failure: Failure | null): BackupdError {
  return new BackupdError(
    failure?.code ?? 'target-unavailable',
    failure?.message ?? 'Docker could not be asked',
    failure?.hint == null ? {} : { hint: failure.hint },
  );
}

function livesIn(target: Job['target'], id: string, name: string): boolean {
  return target.by === 'discovery' ? target.containerId === id : target.container === name;
}

function loginOf(job: Job | undefined): Pick<Job, 'user' | 'passwordFile'> {
  return { user: job?.user ?? null, passwordFile: job?.passwordFile ?? null };
}

function unknownEngine(job: Job): ConfigProblem {
  return {
    source: job.source,
    option: `backupd.engine of "${job.target.container}"`,
    message: `it cannot be told which database "${job.target.container}" runs`,
    hint: 'Set the label backupd.engine, for example to postgres.',
    severity: 'source',
  };
}
