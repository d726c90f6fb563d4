import type Docker from 'dockerode';
import { COMPOSE_PROJECT, type ContainerListing } from './core/discovery.ts';
import { toFailure, type Failure } from './core/errors.ts';
import type { OwnContainer } from './core/own-container.ts';
import { listContainers, type ContainerMount } from './docker/containers.ts';
import { findOwnContainer } from './docker/find-own.ts';

/** What one look around saw. */
export interface Look {
  /** Null where Docker could not be asked. */
  readonly containers: readonly ContainerListing[] | null;
  /** The compose project this process runs in; null outside compose. */
  readonly project: string | null;
  /** Id of the container this process runs in; null outside Docker. */
  readonly ownId: string | null;
  /** The image of that container. */
  readonly imageId: string | null;
  /** Of that container; null outside Docker. */
  readonly mounts: readonly ContainerMount[] | null;
  readonly failure: Failure | null;
}

interface OwnLook extends Pick<Look, 'project' | 'ownId' | 'imageId' | 'mounts'> {
  readonly container: OwnContainer | null;
}

/** What there is around this process. */
export interface Surroundings {
  /** @throws BackupdError `target-unavailable` */
  project(signal: AbortSignal): Promise<string | null>;
  /** The image that this process runs in; null outside Docker. @throws BackupdError `target-unavailable` */
  imageId(signal: AbortSignal): Promise<string | null>;
  /** The container that this process runs in; null outside Docker. @throws BackupdError `target-unavailable` */
  container(signal: AbortSignal): Promise<OwnContainer | null>;
  /** Never throws but where the signal is aborted: what went wrong is in the result. */
  look(signal: AbortSignal): Promise<Look>;
}

/** Looks around when first asked. */
export function surroundingsOf(docker: Docker): Surroundings {
  // Does not change while this process lives; asked again only where Docker did not answer.
  let known: OwnLook | null = null;

  async function lookAtOwn(signal: AbortSignal): Promise<OwnLook> {
    if (known === null) {
      const own = await findOwnContainer(docker, signal);
      known = {
        project: own?.labels[COMPOSE_PROJECT] ?? null,
        ownId: own?.id ?? null,
        imageId: own?.imageId ?? null,
        mounts: own?.mounts ?? null,
        container: own === null ? null : { name: own.name, image: own.image, mounts: own.mounts },
      };
    }
    return known;
  }

  return {
    project: async (signal) => (await lookAtOwn(signal)).project,
    imageId: async (signal) => (await lookAtOwn(signal)).imageId,
    container: async (signal) => (await lookAtOwn(signal)).container,
    async look(signal) {
      try {
        const { container: _container, ...own } = await lookAtOwn(signal);
        return { ...own, containers: await listContainers(docker, signal), failure: null };
      } catch (error) {
        signal.throwIfAborted();
        return {
          containers: null,
          project: null,
          ownId: null,
          imageId: null,
          mounts: null,
          failure: toFailure(error),
        };
      }
    },
  };
}
