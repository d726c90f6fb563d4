import type Docker from 'dockerode';
import { readFile, realpath } from 'node:fs/promises';
import { hostname } from 'node:os';
import { callDocker, dockerStatus } from './call.ts';
import { inspectContainer, type ContainerRecord } from './containers.ts';
import { mountPoints, ownContainerIds, type OwnTraces } from './own-container.ts';

const ID_LENGTH = 64;

/** The container this process runs in; null outside Docker, or inside another engine than the one that is asked. */
export async function findOwnContainer(
  docker: Docker,
  signal: AbortSignal,
): Promise<ContainerRecord | null> {
  const traces = {
    mountinfo: await readIfThere('/proc/self/mountinfo'),
    cgroup: await readIfThere('/proc/self/cgroup'),
    hostname: hostname(),
  };
  for (const id of ownContainerIds(traces)) {
    const record = await inspectIfThere(docker, id, signal);
    // A host whose name looks like an id must not become the container of that id.
    if (record === null || (id.length < ID_LENGTH && record.hostname !== traces.hostname)) {
      continue;
    }
    const own = (await isOurs(record, traces))
      ? record
      : await findGuest(docker, record, traces, signal);
    if (own !== null) {
      return own;
    }
  }
  return null;
}

/** What a container has mounted is mounted here, too, or it is not this one. */
async function isOurs(
  { mounts }: Pick<ContainerRecord, 'mounts'>,
  traces: OwnTraces,
): Promise<boolean> {
  const here = mountPoints(traces);
  const places = await Promise.all(mounts.map(({ destination }) => resolved(destination)));
  return places.every((place) => place !== null && here.has(place));
}

/** Without links on the way, as in /var/run; null where it is not there. */
async function resolved(path: string): Promise<string | null> {
  try {
    return await realpath(path);
  } catch {
    return null;
  }
}

/** In the network of another container the files that tell are that one's: the one of its guests that fits; null: none. */
async function findGuest(
  docker: Docker,
  host: ContainerRecord,
  traces: OwnTraces,
  signal: AbortSignal,
): Promise<ContainerRecord | null> {
  const listed = await callDocker(
    docker,
    { name: 'GET /containers/json' },
    async (abortSignal) => docker.listContainers({ abortSignal }),
    signal,
  );
  for (const { Id, HostConfig } of listed) {
    if (HostConfig.NetworkMode === `container:${host.id}`) {
      const record = await inspectIfThere(docker, Id, signal);
      if (record !== null && (await isOurs(record, traces))) {
        return record;
      }
    }
  }
  return null;
}

async function inspectIfThere(
  docker: Docker,
  id: string,
  signal: AbortSignal,
): Promise<ContainerRecord | null> {
  try {
    return await inspectContainer(docker, id, signal);
  } catch (error) {
    if (dockerStatus(error) === 404) {
      return null;
    }
    throw error;
  }
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    // Not Linux: then not in a container of Linux either.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return '';
    }
    throw error;
  }
}
