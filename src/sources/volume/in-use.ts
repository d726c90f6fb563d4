import type Docker from 'dockerode';
import { BackupdError } from '../../core/errors.ts';
import type { Problem } from '../../core/restorer.ts';
import type { VolumeTarget } from '../../core/target.ts';
import { listContainers } from '../../docker/containers.ts';
import { isActive } from '../../docker/halt.ts';
import { HELPER_LABEL } from '../../docker/helper.ts';
import { isPath } from '../../docker/volumes.ts';

/** A reason not to swap: containers that use the volume; null where none does. */
export async function findInUse(
  docker: Docker,
  { volume }: VolumeTarget,
  stops: readonly string[],
  signal: AbortSignal,
): Promise<Problem | null> {
  const containers = await listContainers(docker, signal);
  const using = containers.filter(
    ({ id, state, labels, mounts }) =>
      (isActive({ state }) || state === 'paused') &&
      labels[HELPER_LABEL] === undefined &&
      !stops.includes(id) &&
      mounts.some((mount) => isSamePlace(mount.volume, volume)),
  );
  if (using.length === 0) {
    return null;
  }
  const names = using.map(({ name }) => name).toSorted();
  return {
    code: 'target-in-use',
    message: `running containers use "${volume}": ${names.join(', ')}`,
    hint: `Stop them for the swap, they are started again: ${names.map((name) => `--stop ${name}`).join(' ')}.`,
  };
}

/** @throws BackupdError `target-in-use` */
export async function refuseInUse(
  docker: Docker,
  target: VolumeTarget,
  signal: AbortSignal,
): Promise<void> {
  const problem = await findInUse(docker, target, [], signal);
  if (problem !== null) {
    throw new BackupdError(problem.code, problem.message, { hint: problem.hint });
  }
}

/** The same volume; of two directories also where one is in the other. */
function isSamePlace(one: string, other: string): boolean {
  return (
    one === other ||
    (isPath(one) &&
      isPath(other) &&
      (one.startsWith(`${other}/`) || other.startsWith(`${one}/`) || one === '/'))
  );
}
