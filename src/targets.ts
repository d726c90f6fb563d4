import type Docker from 'dockerode';
import { jobsFrom, type JobsFound } from './config/jobs.ts';
import type { LoadedConfig } from './config/load.ts';
import type { ContainerListing } from './core/discovery.ts';
import { BackupdError } from './core/errors.ts';
import type { Job, TargetSpec } from './core/job.ts';
import type { TargetRef, VolumeTarget } from './core/target.ts';
import { inspectContainer, resolveContainer } from './docker/containers.ts';
import { inspectVolume, isPath, noVolume } from './docker/volumes.ts';
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
export function containerOf(
  target: Exclude<TargetSpec, { readonly by: 'volume' }>,
  seen: Look,
): string {
  return target.by === 'discovery'
    ? target.containerId
    : resolveContainer(containersSeen(seen), target.container, seen.project).id;
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
  const { target } = job;
  if (target.by === 'volume' && target.labelled === null) {
    // Docker is asked for it by its name.
    return locateVolume(parts.docker, target, signal);
  }
  const seen = await parts.surroundings.look(signal);
  containersSeen(seen);
  const current =
    target.by === 'name'
      ? job
      : jobsSeen(parts, seen).jobs.find((found) => found.source === job.source);
  if (current === undefined) {
    throw new BackupdError(
      'target-unavailable',
      `no container has the labels of source "${job.source}" any more`,
      { hint: `Start it, or run "backupd forget ${job.source}" where it is gone for good.` },
    );
  }
  return current.target.by === 'volume'
    ? locateVolume(parts.docker, current.target, signal)
    : inspectTarget(parts.docker, containerOf(current.target, seen), signal);
}

/** The target of an earlier time as it is now, by its id or else its name; null where there is none any more. */
export async function refindTarget(
  parts: TargetParts,
  at: TargetRef,
  signal: AbortSignal,
): Promise<TargetRef | null> {
  if ('volume' in at) {
    return refindVolume(parts.docker, at, signal);
  }
  const containers = containersSeen(await parts.surroundings.look(signal));
  const found =
    containers.find(({ id }) => id === at.containerId) ??
    containers.find(({ name }) => name === at.container);
  return found === undefined ? null : inspectTarget(parts.docker, found.id, signal);
}

async function locateVolume(
  docker: Docker,
  { volume, labelled }: Omit<VolumeTarget, 'made'>,
  signal: AbortSignal,
): Promise<VolumeTarget> {
  // Whether a directory is there, only a container that mounts it tells.
  const making = isPath(volume) ? null : await inspectVolume(docker, volume, signal);
  if (making === null && !isPath(volume)) {
    throw noVolume(volume);
  }
  return { volume, made: making?.making ?? null, labelled };
}

async function refindVolume(
  docker: Docker,
  at: VolumeTarget,
  signal: AbortSignal,
): Promise<VolumeTarget | null> {
  if (isPath(at.volume)) {
    return at;
  }
  const found = await inspectVolume(docker, at.volume, signal);
  return found === null ? null : { ...at, made: found.making };
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
