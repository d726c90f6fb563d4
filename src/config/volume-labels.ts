import {
  COMPOSE_PROJECT,
  VOLUMES_LABEL,
  type ConfigProblem,
  type ContainerListing,
  type MountListing,
} from '../core/discovery.ts';
import { isSourceName } from '../core/layout.ts';
import { nameList } from './formats.ts';
import type { Candidate } from './labels.ts';
import type { Given } from './load.ts';
import { readValue } from './problems.ts';
import { toLabel, type SourceKey } from './source-schema.ts';

/** Labels of a container that hold for its volumes as well. */
const SHARED: readonly SourceKey[] = [
  'schedule',
  'keep',
  'maxAge',
  'facts',
  'stop',
  'pause',
  'before',
  'after',
  'drill',
  'rpo',
  'rto',
];
/** A check of a drill that is a command, as core/drill.ts reads it. */
const COMMAND = /^\s*exec:/;
const LONGEST_SOURCE_NAME = 63;
/** What Docker calls a volume that was given no name. */
const ANONYMOUS = /^[0-9a-f]{64}$/;

interface Labelled {
  readonly container: ContainerListing;
  /** For problems: `container "shop-app-1"`. */
  readonly where: string;
  /** What the container itself is called as a source. */
  readonly name: string;
  /** Whether names begin with that of the project. */
  readonly isHostWide: boolean;
  /** Whether the container is labelled for nothing but its volumes. */
  readonly isForVolumesAlone: boolean;
}

/** The volumes that a container's label names, each as a source. */
export function readVolumes(labelled: Labelled): {
  readonly candidates: readonly Candidate[];
  readonly problems: readonly ConfigProblem[];
} {
  const { container, where } = labelled;
  const text = container.labels[VOLUMES_LABEL];
  if (text === undefined) {
    return { candidates: [], problems: [] };
  }
  const option = `${VOLUMES_LABEL} on ${where}`;
  const read = readValue(nameList, text, { source: labelled.name, option });
  if (!read.ok) {
    return { candidates: [], problems: [read.problem] };
  }
  const candidates: Candidate[] = [];
  const problems: ConfigProblem[] = [];
  for (const wanted of new Set(read.value)) {
    const mount = findMount(container, wanted);
    if (mount === undefined) {
      problems.push(noMount(labelled, wanted, option));
    } else {
      candidates.push(toCandidate(labelled, wanted, mount));
    }
  }
  return { candidates, problems };
}

/** One volume that several containers name is one source, of the container that runs. */
export function mergeSame(candidates: readonly Candidate[]): readonly Candidate[] {
  const groups = Map.groupBy(candidates, ({ name, target }) =>
    target.by === 'volume' ? JSON.stringify([name, target.volume]) : target,
  );
  return [...groups.values()].flatMap(
    (group) => group.find(({ isRunning }) => isRunning) ?? group.slice(0, 1),
  );
}

function findMount({ labels, mounts }: ContainerListing, wanted: string): MountListing | undefined {
  if (wanted.startsWith('/')) {
    const path = wanted.replace(/(.)\/+$/, '$1');
    return mounts.find(({ destination }) => destination === path);
  }
  const project = labels[COMPOSE_PROJECT] ?? '';
  return (
    mounts.find(({ composeName }) => composeName === wanted) ??
    mounts.find(({ volume }) => volume === wanted || volume === `${project}_${wanted}`)
  );
}

function toCandidate(labelled: Labelled, wanted: string, mount: MountListing): Candidate {
  const { container, where } = labelled;
  const given: Partial<Record<SourceKey, Given>> = {};
  for (const key of SHARED) {
    const value = container.labels[toLabel(key)];
    if (value !== undefined) {
      given[key] = givenBy(toLabel(key), value, where);
    }
  }
  const check = container.labels[toLabel('drillCheck')];
  // A statement is for the database of the container, where it may have one.
  if (check !== undefined && (labelled.isForVolumesAlone || COMMAND.test(check))) {
    given.drillCheck = givenBy(toLabel('drillCheck'), check, where);
  }
  const exclude = container.labels[toLabel('volumesExclude')];
  if (exclude !== undefined) {
    given.exclude = givenBy(toLabel('volumesExclude'), exclude, where);
  }
  return {
    name: nameOf(labelled, wanted, mount),
    target: {
      by: 'volume',
      volume: mount.volume,
      labelled: { containerId: container.id, container: container.name },
    },
    given,
    where,
    service: null,
    isRunning: container.state === 'running',
  };
}

function givenBy(label: string, value: string, where: string): Given {
  return { value, option: `${label} on ${where}`, from: `label ${label}` };
}

/** After the volume as its compose file calls it; what has no name of its own, after the container and the path in it. */
function nameOf(
  { container, name, isHostWide }: Labelled,
  wanted: string,
  { volume, composeName, destination }: MountListing,
): string {
  const project = container.labels[COMPOSE_PROJECT];
  if (composeName !== null || !wanted.startsWith('/')) {
    const own = composeName ?? wanted;
    return plain(isHostWide && project !== undefined ? `${project}-${own}` : own);
  }
  const hasName = !volume.startsWith('/') && !ANONYMOUS.test(volume);
  return plain(hasName ? volume : `${name}${destination}`);
}

function plain(text: string): string {
  const name = text.toLowerCase().replaceAll(/[^a-z0-9._-]/g, '-');
  return name.replace(/^[._-]+/, '').slice(0, LONGEST_SOURCE_NAME);
}

function noMount({ container, where }: Labelled, wanted: string, option: string): ConfigProblem {
  const there = container.mounts.map(({ volume, composeName, destination }) =>
    volume.startsWith('/') ? destination : `${composeName ?? volume} (at ${destination})`,
  );
  const source = plain(wanted);
  return {
    source: isSourceName(source) ? source : null,
    option,
    message: `${where} has no volume "${wanted}"`,
    hint:
      there.length === 0
        ? 'It has no volumes at all.'
        : `Name it as the compose file does, or by the path at which it is mounted. There are: ${there.join(', ')}.`,
    severity: 'source',
  };
}
