import type Docker from 'dockerode';
import type { Engine } from '../core/source.ts';
import type { ContainerRecord } from '../docker/containers.ts';
import { probeTools } from '../docker/exec-pipe.ts';

/** Words in the name of an image that tell the engine; `postgis/postgis`, `timescale/timescaledb` are PostgreSQL too. */
const IMAGES: readonly (readonly [RegExp, Engine])[] = [
  [/postg(?:res|is)|timescale|pgvector|citus/, 'postgres'],
];

/** Variables that only the images of one engine have. */
const VARIABLES: readonly (readonly [string, Engine])[] = [
  ['POSTGRES_PASSWORD', 'postgres'],
  ['POSTGRES_PASSWORD_FILE', 'postgres'],
  ['POSTGRES_HOST_AUTH_METHOD', 'postgres'],
  ['PGDATA', 'postgres'],
];

/** Tools that a dump needs. */
const TOOLS: readonly (readonly [string, Engine])[] = [['pg_dump', 'postgres']];

/** Which engine a container runs: by its image's name, else its environment, else the tools in it; null where nothing tells. */
export async function detectEngine(
  docker: Docker,
  container: ContainerRecord,
  signal: AbortSignal,
): Promise<Engine | null> {
  const repository = container.image.replace(/[:@][^/]*$/, '').toLowerCase();
  const byName =
    IMAGES.find(([pattern]) => pattern.test(repository)) ??
    VARIABLES.find(([variable]) => container.env.has(variable));
  if (byName !== undefined) {
    return byName[1];
  }
  if (!container.running) {
    return null;
  }
  const found = await probeTools(
    docker,
    { containerId: container.id, container: container.name, run: 'detect' },
    TOOLS.map(([tool]) => tool),
    signal,
  );
  return TOOLS.find(([tool]) => (found.get(tool) ?? null) !== null)?.[1] ?? null;
}
