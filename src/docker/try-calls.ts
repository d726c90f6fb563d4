import type Docker from 'dockerode';
import type { CallGroup, TriedCall } from '../core/inspection.ts';
import { callDocker, dockerStatus, isForbiddenStatus } from './call.ts';
import { VERBS } from './halt.ts';

/** No container, image, exec or volume has this name. */
const NOTHING = 'backupd-check-nothing';

interface Call extends Pick<TriedCall, 'name' | 'group' | 'isOptional'> {
  readonly make: (docker: Docker, abortSignal: AbortSignal) => Promise<unknown>;
}

function call(
  group: CallGroup,
  name: string,
  make: Call['make'],
  how: 'needed' | 'optional' = 'needed',
): Call {
  return { group, name, make, isOptional: how === 'optional' };
}

/** Every call that backupd makes, of what does not exist or cannot be: Docker refuses each, and changes nothing. */
const CALLS: readonly Call[] = [
  call('backup', 'GET /containers/json', async (docker, abortSignal) =>
    docker.listContainers({ limit: 1, abortSignal }),
  ),
  call('backup', 'GET /containers/{id}/json', async (docker, abortSignal) =>
    docker.getContainer(NOTHING).inspect({ abortSignal }),
  ),
  call('backup', 'POST /containers/{id}/exec', async (docker, abortSignal) =>
    docker.getContainer(NOTHING).exec({ Cmd: ['true'], abortSignal }),
  ),
  call('backup', 'POST /exec/{id}/start', async (docker, abortSignal) =>
    docker.getExec(NOTHING).start({ abortSignal }),
  ),
  call('backup', 'GET /exec/{id}/json', async (docker) => docker.getExec(NOTHING).inspect()),
  call(
    'backup',
    'GET /images/{id}/json',
    async (docker) => docker.getImage(NOTHING).inspect(),
    'optional',
  ),
  ...(['stop', 'start', 'pause', 'unpause'] as const).map((verb) =>
    call('halt', `POST /containers/{id}/${verb}`, async (docker, abortSignal) =>
      VERBS[verb](docker.getContainer(NOTHING), abortSignal),
    ),
  ),
  call(
    'scratch',
    'GET /volumes',
    async (docker, abortSignal) => docker.listVolumes({ abortSignal }),
    'optional',
  ),
  call('scratch', 'GET /volumes/{name}', async (docker, abortSignal) =>
    docker.getVolume(NOTHING).inspect({ abortSignal }),
  ),
  call('scratch', 'POST /volumes/create', async (docker, abortSignal) =>
    // No volume can have such a name.
    docker.createVolume({ Name: `/${NOTHING}`, abortSignal }),
  ),
  call('scratch', 'DELETE /volumes/{name}', async (docker, abortSignal) =>
    docker.getVolume(NOTHING).remove({ abortSignal }),
  ),
  call('scratch', 'POST /containers/create', async (docker, abortSignal) =>
    docker.createContainer({ Image: NOTHING, abortSignal }),
  ),
  call('scratch', 'GET /containers/{id}/logs', async (docker, abortSignal) =>
    docker.getContainer(NOTHING).logs({ follow: false, stdout: true, abortSignal }),
  ),
  call('scratch', 'DELETE /containers/{id}', async (docker, abortSignal) =>
    docker.getContainer(NOTHING).remove({ abortSignal }),
  ),
];

/**
 * Which of the calls that backupd makes are forbidden by what stands before Docker.
 * @throws BackupdError `target-unavailable` where it does not answer
 */
export async function tryCalls(docker: Docker, signal: AbortSignal): Promise<readonly TriedCall[]> {
  return Promise.all(
    CALLS.map(async ({ make, ...tried }) => ({
      ...tried,
      isForbidden: await isForbidden(docker, { ...tried, make }, signal),
    })),
  );
}

async function isForbidden(
  docker: Docker,
  { name, make }: Call,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await callDocker(docker, { name }, async (abortSignal) => make(docker, abortSignal), signal);
    return false;
  } catch (error) {
    const status = dockerStatus(error);
    if (status === null) {
      throw error;
    }
    return isForbiddenStatus(status);
  }
}
