import type Docker from 'dockerode';
import type { VolumeTarget } from '../../core/target.ts';
import { dockerStatus } from '../../docker/call.ts';
import { HELPER_LABEL, startHelper, type Helper, type HelperRequest } from '../../docker/helper.ts';
import {
  inspectVolume,
  isPath,
  noVolume,
  removeVolume,
  type VolumeRecord,
} from '../../docker/volumes.ts';

/** A volume within reach. */
export interface Mounted extends Helper {
  readonly docker: Docker;
  readonly target: VolumeTarget;
  /** Marks what is run in it. */
  readonly run: string;
}

export type MountRequest = Pick<HelperRequest, 'image' | 'owner' | 'access' | 'lifeSeconds'> & {
  readonly run: string;
};

/**
 * Reaches a volume through a container of its own, which is removed when it is disposed. A volume that is not there is
 * never made by that.
 * @throws BackupdError `target-unavailable`
 */
export async function mount(
  docker: Docker,
  target: VolumeTarget,
  request: MountRequest,
  signal: AbortSignal,
): Promise<Mounted> {
  const { volume } = target;
  const isDirectory = isPath(volume);
  const before = isDirectory ? null : await inspectVolume(docker, volume, signal);
  if (!isDirectory && before === null) {
    throw noVolume(volume);
  }
  await using stack = new AsyncDisposableStack();
  const helper = stack.use(await startFor(docker, target, request, signal));
  const after = isDirectory ? null : await inspectVolume(docker, volume, signal);
  if (before?.createdAt !== after?.createdAt) {
    await stack.disposeAsync();
    await removeOurs(docker, after, request.owner, signal);
    throw noVolume(volume);
  }
  const kept = stack.move();
  return {
    docker,
    target,
    run: request.run,
    containerId: helper.containerId,
    container: helper.container,
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

async function startFor(
  docker: Docker,
  target: VolumeTarget,
  { image, owner, access, lifeSeconds }: MountRequest,
  signal: AbortSignal,
): Promise<Helper> {
  try {
    const { volume } = target;
    return await startHelper(docker, { image, owner, volume, access, lifeSeconds }, signal);
  } catch (error) {
    // A directory is looked for by Docker alone.
    const isMissing =
      dockerStatus(error) === 400 && error instanceof Error && /not exist/.test(error.message);
    throw isPath(target.volume) && isMissing ? noVolume(target.volume) : error;
  }
}

/** Somebody removed the volume after we had looked, and Docker made an empty one for us. */
async function removeOurs(
  docker: Docker,
  volume: VolumeRecord | null,
  owner: string,
  signal: AbortSignal,
): Promise<void> {
  if (volume?.making.labels[HELPER_LABEL] === owner) {
    await removeVolume(docker, volume.name, signal);
  }
}
