import type Docker from 'dockerode';
import {
  COMPOSE_PROJECT,
  COMPOSE_SERVICE,
  COMPOSE_VOLUME,
  VOLUMES_LABEL,
  type ContainerListing,
} from '../core/discovery.ts';
import { BackupdError } from '../core/errors.ts';
import { callDocker, dockerStatus, isForbiddenStatus, strangeAnswer } from './call.ts';

/** A container as it is now. */
export interface ContainerRecord {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  /** As it was named at its creation: `postgres:17`. */
  readonly image: string;
  /** `sha256:...` */
  readonly imageId: string;
  /** `postgres@sha256:...`; empty for an image that came from no registry. */
  readonly repoDigests: readonly string[];
  /** The environment it was created with: holds secrets, never to be shown. */
  readonly env: ReadonlyMap<string, string>;
  readonly labels: Readonly<Record<string, string>>;
  /** `running`, `exited`, `paused`... as Docker says. */
  readonly state: string;
  readonly running: boolean;
  /** Null for one that never ran. */
  readonly startedAt: Date | null;
  /** Its first process as the host numbers it; null while it does not run. */
  readonly pid: number | null;
  /** As the image or the container names it; empty means root. */
  readonly user: string;
  readonly hostname: string;
  readonly mounts: readonly ContainerMount[];
}

export interface ContainerMount {
  /** `volume`, `bind`, `tmpfs`... */
  readonly type: string;
  /** The volume's name; null for what is no volume. */
  readonly name: string | null;
  readonly source: string;
  readonly destination: string;
}

/** Compose sets it on containers of `docker compose run`, which carry their service's name but are not it. */
const COMPOSE_ONEOFF = 'com.docker.compose.oneoff';
const SUGGESTED_NAMES = 10;
const ID_LENGTH = 64;
const SHORT_ID_LENGTH = 12;

/** All containers, also stopped ones. @throws BackupdError `target-unavailable` where Docker cannot be asked. */
export async function listContainers(
  docker: Docker,
  signal: AbortSignal,
): Promise<readonly ContainerListing[]> {
  const call = { name: 'GET /containers/json' };
  const answer: unknown = await callDocker(
    docker,
    call,
    async (abortSignal) => docker.listContainers({ all: true, abortSignal }),
    signal,
  );
  if (!Array.isArray(answer)) {
    throw strangeAnswer(docker, call);
  }
  const containers = answer as Docker.ContainerInfo[];
  // Only who names volumes needs what their compose file calls them.
  const areWanted = containers.some(({ Labels }) => VOLUMES_LABEL in (Labels ?? {}));
  const composeNames = areWanted
    ? await readComposeNames(docker, signal)
    : new Map<string, string>();
  return containers.map((info) => ({
    id: info.Id,
    name: nameAmong(info.Names, info.Id),
    image: info.Image,
    labels: info.Labels,
    state: info.State,
    mounts: (info.Mounts ?? [])
      .filter(({ Type }) => Type === 'volume' || Type === 'bind')
      .map(({ Name, Source, Destination }) => ({
        volume: Name ?? Source,
        composeName: composeNames.get(Name ?? '') ?? null,
        destination: Destination,
      })),
  }));
}

/** What compose files call volumes, by the names that Docker has for them. */
async function readComposeNames(
  docker: Docker,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const { Volumes } = await callDocker(
    docker,
    { name: 'GET /volumes' },
    async (abortSignal) => docker.listVolumes({ abortSignal }),
    signal,
  ).catch((error: unknown) => {
    // A proxy that hides volumes must not hide the containers of databases: most names can be told without it.
    if (isForbiddenStatus(dockerStatus(error) ?? 0)) {
      return { Volumes: [] };
    }
    throw error;
  });
  const volumes: readonly {
    readonly Name: string;
    readonly Labels: Readonly<Record<string, string>> | null;
  }[] = Volumes;
  return new Map(
    volumes.flatMap(({ Name, Labels }) => {
      const name = Labels?.[COMPOSE_VOLUME];
      return name === undefined ? [] : [[Name, name] as const];
    }),
  );
}

/** A container links to another under names of two parts; its own has one. One that is being removed can have none. */
function nameAmong(names: readonly string[] | null, id: string): string {
  const own = names?.find((name) => !name.slice(1).includes('/'));
  return own?.slice(1) ?? id.slice(0, SHORT_ID_LENGTH);
}

/**
 * A container by id or exact name.
 * @throws BackupdError `target-unavailable` where there is none, or Docker cannot be asked.
 */
export async function inspectContainer(
  docker: Docker,
  id: string,
  signal: AbortSignal,
): Promise<ContainerRecord> {
  const call = { name: 'GET /containers/{id}/json', container: nameFor(id) };
  const info = await callDocker(
    docker,
    call,
    async (abortSignal) => docker.getContainer(id).inspect({ abortSignal }),
    signal,
  );
  if (typeof info.Id !== 'string') {
    throw strangeAnswer(docker, call);
  }
  const startedAt = new Date(info.State.StartedAt);
  return {
    id: info.Id,
    name: info.Name.replace(/^\//, ''),
    image: info.Config.Image,
    imageId: info.Image,
    repoDigests: await readRepoDigests(docker, info.Image, signal),
    env: new Map((info.Config.Env ?? []).map(splitVariable)),
    labels: info.Config.Labels ?? {},
    state: info.State.Status,
    running: info.State.Running,
    startedAt: startedAt.getTime() > 0 ? startedAt : null,
    pid: info.State.Pid === 0 ? null : info.State.Pid,
    user: info.Config.User ?? '',
    hostname: info.Config.Hostname ?? '',
    mounts: (info.Mounts ?? []).map((mount) => ({
      type: mount.Type,
      name: mount.Name ?? null,
      source: mount.Source,
      destination: mount.Destination,
    })),
  };
}

function nameFor(id: string): string {
  return id.length === ID_LENGTH ? id.slice(0, SHORT_ID_LENGTH) : id;
}

function splitVariable(variable: string): [string, string] {
  const at = variable.indexOf('=');
  return at === -1 ? [variable, ''] : [variable.slice(0, at), variable.slice(at + 1)];
}

async function readRepoDigests(
  docker: Docker,
  imageId: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  try {
    const info = await callDocker(
      docker,
      { name: 'GET /images/{id}/json' },
      async () => docker.getImage(imageId).inspect(),
      signal,
    );
    return info.RepoDigests ?? [];
  } catch (error) {
    // The digests are a note for whoever restores; an image that was deleted or that a proxy hides is no reason to fail.
    const status = dockerStatus(error) ?? 0;
    if (status === 404 || isForbiddenStatus(status)) {
      return [];
    }
    throw error;
  }
}

/**
 * The container that a name means: a compose service of backupd's own project, else an exact container name.
 * @throws BackupdError `usage` where several match, `target-unavailable` where none does.
 */
export function resolveContainer(
  listings: readonly ContainerListing[],
  name: string,
  ownProject: string | null,
): ContainerListing {
  const ofService =
    ownProject === null
      ? []
      : listings.filter(
          ({ labels }) =>
            labels[COMPOSE_PROJECT] === ownProject &&
            labels[COMPOSE_SERVICE] === name &&
            labels[COMPOSE_ONEOFF] !== 'True',
        );
  const matches =
    ofService.length > 0 ? ofService : listings.filter((listing) => listing.name === name);
  const [match, ...others] = matches;
  if (match === undefined) {
    throw new BackupdError('target-unavailable', `no container "${name}"`, {
      hint: `There must be a service of that name in backupd's own compose project, or a container of exactly that name. ${namesThere(listings)}`,
    });
  }
  if (others.length > 0) {
    const names = matches.map((listing) => `"${listing.name}"`).join(', ');
    throw new BackupdError(
      'usage',
      `"${name}" means ${matches.length} containers of the project "${ownProject}": ${names}`,
      {
        hint: 'Name one of them exactly.',
      },
    );
  }
  return match;
}

function namesThere(listings: readonly ContainerListing[]): string {
  const names = listings.map((listing) => listing.name).toSorted();
  const shown = names.slice(0, SUGGESTED_NAMES).join(', ');
  const more = names.length - SUGGESTED_NAMES;
  return names.length === 0
    ? 'There are no containers at all.'
    : `There are: ${shown}${more > 0 ? ` and ${more} more` : ''}.`;
}
