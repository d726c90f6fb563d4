import { startContainer, type ContainerOptions, type TestContainer } from './test-container.ts';

/** A container that does nothing but wait for processes to be run in it, in the words of `src/docker`. */
export interface IdleContainer extends TestContainer {
  readonly containerId: string;
  readonly container: string;
}

export async function startIdleContainer(
  options: Partial<ContainerOptions> = {},
): Promise<IdleContainer> {
  const started = await startContainer({
    image: 'debian:trixie-slim',
    entrypoint: 'sleep',
    args: ['infinity'],
    ...options,
    more: ['--init', ...(options.more ?? [])],
  });
  return { ...started, containerId: started.id, container: started.name };
}
