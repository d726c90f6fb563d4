import type Docker from 'dockerode';
import type { Engine } from '../core/target.ts';
import type { ContainerRecord } from '../docker/containers.ts';
import { probeTools } from '../docker/exec-pipe.ts';
import { DEFINITIONS } from './engines.ts';

/** The engine that an image runs, as its name tells; null where it does not. */
export function engineOfImage(image: string): Engine | null {
  const repository = image.replace(/[:@][^/]*$/, '').toLowerCase();
  return DEFINITIONS.find(({ images }) => images?.test(repository))?.engine ?? null;
}

/** Which engine a container runs: by its image's name, else its environment, else the tools in it; null where nothing tells. */
export async function detectEngine(
  docker: Docker,
  container: ContainerRecord,
  signal: AbortSignal,
): Promise<Engine | null> {
  const byName =
    engineOfImage(container.image) ??
    DEFINITIONS.find(({ variables }) => variables.some((name) => container.env.has(name)))?.engine;
  if (byName !== undefined) {
    return byName;
  }
  if (!container.running) {
    return null;
  }
  const found = await probeTools(
    docker,
    { containerId: container.id, container: container.name, run: 'detect' },
    DEFINITIONS.flatMap(({ tools }) => tools),
    signal,
  );
  const byTool = DEFINITIONS.find(({ tools }) =>
    tools.some((tool) => (found.get(tool) ?? null) !== null),
  );
  return byTool?.engine ?? null;
}
