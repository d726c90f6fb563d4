import type Docker from 'dockerode';
import { jobsFrom, type JobsFound } from './config/jobs.ts';
import type { LoadedConfig } from './config/load.ts';
import type { ContainerListing } from './core/discovery.ts';
import { BackupdError } from './core/errors.ts';
import type { Job } from './core/job.ts';
import type { TargetRef } from './core/source.ts';
import { inspectContainer, resolveContainer } from './docker/containers.ts';
import type { Look, Surroundings } from './surroundings.ts';

/** What finding containers needs. */
export interface TargetParts {
  readonly config: LoadedConfig;
  readonly docker: Docker;
  readonly surroundings: Surroundings;
}

/** The sources that configuration and containers, as seen, make. */
export function jobsSeen({ config }: Pick<TargetParts, 'config'>, seen: Look): JobsFound {
  return jobsFrom(config, seen.containers, { project: seen.project });
}

/** The containers of a look. @throws BackupdError with why Docker could not be asked */
export function containersSeen(seen: Look): readonly ContainerListing[] {
  if (seen.containers === null) {
    const { failure } = seen;
    throw new BackupdError(
      failure?.code ?? 'target-unavailable',
      failure?.message ?? 'Docker could not be asked',
      failure === null || failure.hint === null ? {} : { hint: failure.hint },
    );
  }
  return seen.containers;
}

/** The id of the container that a job's target means now. */
export function containerOf(job: Job, seen: Look): string {
  return job.target.by === 'discovery'
    ? job.target.containerId
    : resolveContainer(containersSeen(seen), job.target.container, seen.project).id;
}

/**
 * The target of a job as it is now: looked for anew, since a container may have been recreated since the job was seen.
 * @throws BackupdError `target-unavailable`
 */
export async function locateTarget(
  parts: TargetParts,
  job: Job,
  signal: AbortSignal,
): Promise<TargetRef> {
  const seen = await parts.surroundings.look(signal);
  containersSeen(seen);
  const current =
    job.target.by === 'name'
      ? job
      : jobsSeen(parts, seen).jobs.find((found) => found.source === job.source);
  if (current === undefined) {
    throw new BackupdError(
      'target-unavailable',
      `no container has the labels of source "${job.source}" any more`,
      { hint: `Start it, or run "backupd forget ${job.source}" where it is gone for good.` },
    );
  }
  return inspectTarget(parts.docker, containerOf(current, seen), signal);
}

/** The container of an earlier time as it is now, by its id or else its name; null where there is none any more. */
export async function refindTarget(
  parts: TargetParts,
  at: TargetRef,
  signal: AbortSignal,
): Promise<TargetRef | null> {
  const containers = containersSeen(await parts.surroundings.look(signal));
  const found =
    containers.find(({ id }) => id === at.containerId) ??
    containers.find(({ name }) => name === at.container);
  return found === undefined ? null : inspectTarget(parts.docker, found.id, signal);
}

async function inspectTarget(
  docker: Docker,
  containerId: string,
  signal: AbortSignal,
): Promise<TargetRef> {
  const record = await inspectContainer(docker, containerId, signal);
  const { id, name, image, imageId, repoDigests, running, state } = record;
  if (!running) {
    throw new BackupdError('target-unavailable', `container "${name}" is not running: ${state}`, {
      hint: `Start it with "docker start ${name}".`,
    });
  }
  return { containerId: id, container: name, image, imageId, repoDigests };
}
