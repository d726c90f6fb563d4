import {
  COMPOSE_PROJECT,
  COMPOSE_SERVICE,
  VOLUMES_LABEL,
  type ContainerListing,
} from './discovery.ts';
import type { Unsaved } from './inspection.ts';
import type { Job } from './job.ts';
import type { Settings } from './settings.ts';
import type { Engine } from './target.ts';

/** What there is to look at. */
export interface Around {
  readonly containers: readonly ContainerListing[];
  /** The compose project of backupd; null: none. */
  readonly project: string | null;
  /** The container of backupd; null: none. */
  readonly ownId: string | null;
  readonly discover: Settings['discover'];
  /** The engine that an image runs, by its name; null: none. */
  readonly engineOf: (image: string) => Engine | null;
}

/** Docker's name for a volume that nobody named. */
const ANONYMOUS = /^[0-9a-f]{64}$/;
/** What works with databases and is none. */
const NO_DATABASE = /export|admin|express|bouncer|pool|proxy|backup|client|tool/;
/** Whatever it says, somebody has thought of this container. */
const LABELS = ['backupd.enable', VOLUMES_LABEL, 'backupd.volumes.exclude'];

/**
 * What runs around backupd and nobody saves: containers that look like databases, volumes with names. What is in another
 * compose project is none of its business, unless it looks at the whole host.
 */
export function findUnsaved(jobs: readonly Job[], around: Around): Unsaved {
  const near = around.containers.filter(
    (container) => container.state === 'running' && isNear(container, around),
  );
  const targets = new Set(
    near.filter((container) => isTarget(container, jobs, around)).map(({ id }) => id),
  );
  const others = near.filter(({ id, labels }) => !targets.has(id) && !isLabelled(labels));
  const databases = others.flatMap(({ name, image }) => {
    const engine = NO_DATABASE.test(repository(image)) ? null : around.engineOf(image);
    return engine === null ? [] : [{ container: name, engine }];
  });
  const told = new Set(databases.map(({ container }) => container));
  // Those of a database are saved with it, or will be.
  const users = others.filter(({ name }) => !told.has(name));
  return { databases, volumes: listVolumes(users, savedVolumes(jobs, near, targets)) };
}

function isNear({ id, labels }: ContainerListing, { discover, project, ownId }: Around): boolean {
  return (
    id !== ownId &&
    (discover === 'host' || (project !== null && labels[COMPOSE_PROJECT] === project))
  );
}

function isTarget(
  { id, name, labels }: ContainerListing,
  jobs: readonly Job[],
  { project }: Around,
): boolean {
  const service = labels[COMPOSE_PROJECT] === project ? labels[COMPOSE_SERVICE] : undefined;
  return jobs.some(
    ({ target }) =>
      (target.by === 'discovery' && target.containerId === id) ||
      (target.by === 'name' && (target.container === name || target.container === service)),
  );
}

function isLabelled(labels: ContainerListing['labels']): boolean {
  return LABELS.some((name) => name in labels);
}

/** Those that are sources, and those in which databases that are sources have their data. */
function savedVolumes(
  jobs: readonly Job[],
  near: readonly ContainerListing[],
  targets: ReadonlySet<string>,
): ReadonlySet<string> {
  return new Set([
    ...jobs.flatMap(({ target }) => (target.by === 'volume' ? [target.volume] : [])),
    ...near
      .filter(({ id }) => targets.has(id))
      .flatMap(({ mounts }) => mounts.map(({ volume }) => volume)),
  ]);
}

function listVolumes(
  users: readonly ContainerListing[],
  saved: ReadonlySet<string>,
): Unsaved['volumes'] {
  const containersOf = new Map<string, string[]>();
  for (const { name, mounts } of users) {
    for (const { volume } of mounts) {
      if (!volume.startsWith('/') && !ANONYMOUS.test(volume) && !saved.has(volume)) {
        containersOf.set(volume, [...(containersOf.get(volume) ?? []), name]);
      }
    }
  }
  return [...containersOf].map(([volume, containers]) => ({ volume, containers }));
}

function repository(image: string): string {
  return image.replace(/[:@][^/]*$/, '').toLowerCase();
}
