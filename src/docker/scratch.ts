import type Docker from 'dockerode';
import { callDocker, dockerStatus, isForbiddenStatus } from './call.ts';
import {
  SCRATCH_LABEL,
  scratchOptions,
  type ScratchImage,
  type ScratchModel,
  type ScratchSpec,
} from './scratch-spec.ts';

const SHOWN_LINES = 20;
const SHOWN_CHARACTERS = 600;

/** An image by id, digest or name, if the engine has it: nothing is pulled. @throws BackupdError `target-unavailable` */
export async function findImage(
  docker: Docker,
  name: string,
  signal: AbortSignal,
): Promise<ScratchImage | null> {
  try {
    const { Id, Config } = await callDocker(
      docker,
      { name: 'GET /images/{id}/json' },
      async () => docker.getImage(name).inspect(),
      signal,
    );
    // Docker gives null where there is none of something.
    const config: Partial<Docker.ImageInspectInfo['Config']> | null = Config;
    const volumes: Readonly<Record<string, unknown>> | null | undefined = config?.Volumes;
    const labels: Readonly<Record<string, unknown>> | null | undefined = config?.Labels;
    const command: readonly string[] | null | undefined = config?.Cmd;
    return {
      id: Id,
      command: command ?? [],
      volumes: Object.keys(volumes ?? {}).toSorted(),
      variables: (config?.Env ?? []).map((variable) => variable.split('=', 1)[0] ?? ''),
      labels: Object.keys(labels ?? {}),
    };
  } catch (error) {
    if (dockerStatus(error) === 404) {
      return null;
    }
    throw error;
  }
}

/** How a container is configured, and its image; null where there is none of this id. @throws BackupdError */
export async function readModel(
  docker: Docker,
  id: string,
  signal: AbortSignal,
): Promise<{ readonly model: ScratchModel; readonly imageId: string } | null> {
  try {
    const { Config, HostConfig, Mounts, Image } = await callDocker(
      docker,
      { name: 'GET /containers/{id}/json' },
      async (abortSignal) => docker.getContainer(id).inspect({ abortSignal }),
      signal,
    );
    const command: readonly string[] | null = Config.Cmd;
    const entrypoint: string | readonly string[] | null | undefined = Config.Entrypoint;
    const env: readonly string[] | null = Config.Env;
    const mounts: typeof Mounts | null = Mounts;
    const model = {
      entrypoint: typeof entrypoint === 'string' ? [entrypoint] : (entrypoint ?? null),
      command: command ?? [],
      user: Config.User,
      env: new Map((env ?? []).map((variable) => splitAt(variable))),
      memoryBytes: HostConfig.Memory ?? 0,
      shmBytes: HostConfig.ShmSize ?? 0,
      binds: (mounts ?? [])
        .filter(({ Type }) => Type === 'bind')
        .map(({ Source, Destination }) => ({ source: Source, path: Destination })),
    };
    return { model, imageId: Image };
  } catch (error) {
    if (dockerStatus(error) === 404) {
      return null;
    }
    throw error;
  }
}

function splitAt(variable: string): [string, string] {
  const [name = ''] = variable.split('=', 1);
  return [name, variable.slice(name.length + 1)];
}

/** Makes a scratch container, which is not started yet, with its volumes. @returns its id. @throws BackupdError */
export async function createScratch(
  docker: Docker,
  spec: ScratchSpec,
  signal: AbortSignal,
): Promise<string> {
  const { id } = await callDocker(
    docker,
    { name: 'POST /containers/create' },
    async (abortSignal) => docker.createContainer({ ...scratchOptions(spec), abortSignal }),
    signal,
  );
  return id;
}

/** @throws BackupdError `target-unavailable` */
export async function startScratch(
  docker: Docker,
  { id, name }: { readonly id: string; readonly name: string },
  signal: AbortSignal,
): Promise<void> {
  await callDocker(
    docker,
    { name: 'POST /containers/{id}/start', container: name },
    async (abortSignal): Promise<unknown> => docker.getContainer(id).start({ abortSignal }),
    signal,
  );
}

/** How a scratch container is. */
export interface ScratchState {
  readonly runs: boolean;
  readonly exitCode: number;
  /** Whether a process in it was ended for lack of memory, the first one or another. */
  readonly outOfMemory: boolean;
  /** The end of what it said, where it does not run. */
  readonly said: string;
}

/** @throws BackupdError `target-unavailable` */
export async function readScratch(
  docker: Docker,
  id: string,
  signal: AbortSignal,
): Promise<ScratchState> {
  const { State } = await callDocker(
    docker,
    { name: 'GET /containers/{id}/json' },
    async (abortSignal) => docker.getContainer(id).inspect({ abortSignal }),
    signal,
  );
  const { Running: runs, ExitCode: exitCode, OOMKilled: outOfMemory } = State;
  if (runs) {
    return { runs, exitCode, outOfMemory, said: '' };
  }
  const log = await callDocker(
    docker,
    { name: 'GET /containers/{id}/logs' },
    async (abortSignal) =>
      docker
        .getContainer(id)
        .logs({ stdout: true, stderr: true, tail: SHOWN_LINES, follow: false, abortSignal }),
    signal,
  );
  const lines = framesOf(log).trim().replaceAll(/\s+/g, ' ');
  return { runs, exitCode, outOfMemory, said: lines.slice(-SHOWN_CHARACTERS) };
}

/** The text of a log that comes in frames: eight bytes of head before each. */
function framesOf(log: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= log.length;) {
    const length = log.readUInt32BE(at + 4);
    parts.push(log.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Removes all that is labelled with this owner, with the containers that hold its volumes. @returns how much that was */
export async function removeScratches(
  docker: Docker,
  owner: string,
  signal: AbortSignal,
): Promise<number> {
  const label = [`${SCRATCH_LABEL}=${owner}`];
  const containers = await findContainers(docker, { label }, signal);
  await removeAll(docker, containers, signal);
  const volumes = await findVolumes(docker, label, signal);
  for (const { Name } of volumes) {
    // Nobody else knows its name: what holds it was made for the drill.
    await removeAll(docker, await findContainers(docker, { volume: [Name] }, signal), signal);
    await tolerate([404], async () =>
      callDocker(
        docker,
        { name: 'DELETE /volumes/{name}' },
        async (abortSignal): Promise<unknown> => docker.getVolume(Name).remove({ abortSignal }),
        signal,
      ),
    );
  }
  return containers.length + volumes.length;
}

/** The owners of all scratch containers and volumes that there are. @throws BackupdError `target-unavailable` */
export async function listOwners(docker: Docker, signal: AbortSignal): Promise<readonly string[]> {
  const label = [SCRATCH_LABEL];
  const found = [
    ...(await findContainers(docker, { label }, signal)),
    ...(await findVolumes(docker, label, signal)),
  ];
  return [...new Set(found.flatMap(({ Labels }) => Labels[SCRATCH_LABEL] ?? []))];
}

async function findContainers(
  docker: Docker,
  filters: Readonly<Record<string, string[]>>,
  signal: AbortSignal,
): Promise<readonly Docker.ContainerInfo[]> {
  return callDocker(
    docker,
    { name: 'GET /containers/json' },
    async (abortSignal) => docker.listContainers({ all: true, filters, abortSignal }),
    signal,
  );
}

async function findVolumes(
  docker: Docker,
  label: readonly string[],
  signal: AbortSignal,
): Promise<readonly Docker.VolumeInspectInfo[]> {
  try {
    const { Volumes } = await callDocker(
      docker,
      { name: 'GET /volumes' },
      async (abortSignal) => docker.listVolumes({ filters: { label: [...label] }, abortSignal }),
      signal,
    );
    const volumes: Docker.VolumeInspectInfo[] | null = Volumes;
    return volumes ?? [];
  } catch (error) {
    const status = dockerStatus(error);
    // Where a proxy hides them it lets nobody make one either.
    if (status !== null && isForbiddenStatus(status)) {
      return [];
    }
    throw error;
  }
}

async function removeAll(
  docker: Docker,
  containers: readonly Docker.ContainerInfo[],
  signal: AbortSignal,
): Promise<void> {
  for (const { Id } of containers) {
    // 409: it is being removed already.
    await tolerate([404, 409], async () =>
      callDocker(
        docker,
        { name: 'DELETE /containers/{id}', container: Id.slice(0, 12) },
        async (abortSignal): Promise<unknown> =>
          docker.getContainer(Id).remove({ force: true, v: true, abortSignal }),
        signal,
      ),
    );
  }
}

/** One that is gone is fine. */
async function tolerate(statuses: readonly number[], work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!statuses.includes(dockerStatus(error) ?? 0)) {
      throw error;
    }
  }
}
