import type Docker from 'dockerode';
import { randomBytes } from 'node:crypto';
import type { CommandTarget } from '../core/halts.ts';
import { callDocker, dockerStatus } from './call.ts';

/** Marks a container that is ours to remove; its value says whose. No label of the configuration: those have a dot. */
export const HELPER_LABEL = 'backupd-helper';
/** Where the volume is in it. */
export const MOUNTED_AT = '/volume';

/** A container that is made to reach a volume, and removed again. */
export interface HelperRequest {
  /** An image that is there, with GNU tar, coreutils, sh and zstd. */
  readonly image: string;
  /** By which it is found again when its maker died. */
  readonly owner: string;
  /** A volume's name, or a path of the host. */
  readonly volume: string;
  readonly access: 'read' | 'write';
  /** After so many seconds it ends by itself; null: never. */
  readonly lifeSeconds: number | null;
}

export interface Helper extends CommandTarget, AsyncDisposable {}

/** What reading everything takes, and what making everything again takes: no more. */
const CAPABILITIES = {
  read: ['DAC_READ_SEARCH'],
  write: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP'],
};
const REMOVE_TIMEOUT_MS = 30_000;

/**
 * Starts a container with a volume and nothing else: no network, nothing to write to, no rights but those that it needs.
 * It is removed when it is disposed. Docker makes a volume that is not there: the caller looks before and after; what
 * Docker made so carries the label.
 * @throws BackupdError `target-unavailable`
 */
export async function startHelper(
  docker: Docker,
  request: HelperRequest,
  signal: AbortSignal,
): Promise<Helper> {
  const name = `backupd-helper-${randomBytes(6).toString('hex')}`;
  const { access, owner, lifeSeconds } = request;
  const container = docker.getContainer(name);
  async function remove(): Promise<void> {
    await removeContainer(docker, name, AbortSignal.timeout(REMOVE_TIMEOUT_MS));
  }
  try {
    const created = await callDocker(
      docker,
      { name: 'POST /containers/create' },
      async (abortSignal) =>
        docker.createContainer({
          name,
          Image: request.image,
          Entrypoint: ['tini', '--', 'sleep', lifeSeconds === null ? 'infinity' : `${lifeSeconds}`],
          Cmd: [],
          User: '0:0',
          Healthcheck: { Test: ['NONE'] },
          Labels: { [HELPER_LABEL]: owner },
          HostConfig: {
            AutoRemove: true,
            NetworkMode: 'none',
            ReadonlyRootfs: true,
            // Without it the image's own volume would be made anew for each.
            Tmpfs: { '/backups': 'size=64k' },
            CapDrop: ['ALL'],
            CapAdd: CAPABILITIES[access],
            SecurityOpt: ['no-new-privileges', 'label=disable'],
            Mounts: [mountOf(request)],
          },
          abortSignal,
        }),
      signal,
    );
    await callDocker(
      docker,
      { name: 'POST /containers/{id}/start', container: name },
      async (abortSignal): Promise<unknown> => container.start({ abortSignal }),
      signal,
    );
    return { containerId: created.id, container: name, [Symbol.asyncDispose]: remove };
  } catch (error) {
    // It may be there all the same; that this fails as well must not hide why.
    await remove().catch(() => null);
    throw error;
  }
}

function mountOf({ volume, access, owner }: HelperRequest): Docker.MountSettings {
  const ReadOnly = access === 'read';
  return volume.startsWith('/')
    ? { Type: 'bind', Source: volume, Target: MOUNTED_AT, ReadOnly }
    : {
        Type: 'volume',
        Source: volume,
        Target: MOUNTED_AT,
        ReadOnly,
        VolumeOptions: {
          NoCopy: true,
          Labels: { [HELPER_LABEL]: owner },
          DriverConfig: { Name: '', Options: {} },
        },
      };
}

/** Removes what was started for this owner and is still there. @throws BackupdError `target-unavailable` */
export async function removeHelpers(
  docker: Docker,
  owner: string,
  signal: AbortSignal,
): Promise<void> {
  const filters = { label: [`${HELPER_LABEL}=${owner}`] };
  const left = await callDocker(
    docker,
    { name: 'GET /containers/json' },
    async (abortSignal) => docker.listContainers({ all: true, filters, abortSignal }),
    signal,
  );
  for (const { Id } of left) {
    await removeContainer(docker, Id, signal);
  }
}

/** With all that runs in it. One that is gone, or about to be, is fine. */
async function removeContainer(docker: Docker, id: string, signal: AbortSignal): Promise<void> {
  try {
    await callDocker(
      docker,
      { name: 'DELETE /containers/{id}', container: id },
      async (abortSignal): Promise<unknown> =>
        docker.getContainer(id).remove({ force: true, v: true, abortSignal }),
      signal,
    );
  } catch (error) {
    const status = dockerStatus(error);
    if (status !== 404 && status !== 409) {
      throw error;
    }
  }
}
