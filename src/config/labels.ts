import {
  COMPOSE_PROJECT,
  COMPOSE_SERVICE,
  VOLUMES_LABEL,
  type ConfigProblem,
  type ContainerListing,
} from '../core/discovery.ts';
import type { TargetSpec } from '../core/job.ts';
import { isSourceName } from '../core/layout.ts';
import type { Settings } from '../core/settings.ts';
import { suggest } from '../core/suggest.ts';
import { plainName, yesOrNo } from './formats.ts';
import type { Given, GivenOptions } from './load.ts';
import { readValue, unknownOption, wrongValue } from './problems.ts';
import { mergeSame, readVolumes } from './volume-labels.ts';
import { sourceKeys, toLabel, type SourceKey } from './source-schema.ts';

/** Something that wants to be a source. */
export interface Candidate {
  readonly name: string;
  readonly target: TargetSpec;
  /** What its own declaration says. */
  readonly given: GivenOptions;
  /** Where it is declared, for problems: `container "shop-db-1"`, `BACKUPD_SOURCES`. */
  readonly where: string;
  /** The container's compose service with its project; null where there is none. */
  readonly service: string | null;
  readonly isRunning: boolean;
}

/** Where labels are looked for. */
export interface Scope {
  readonly discover: Settings['discover'];
  /** Backupd's own compose project; null outside compose. */
  readonly project: string | null;
}

const PREFIX = 'backupd.';
const COMPOSE_ONEOFF = 'com.docker.compose.oneoff';
const KNOWN: ReadonlyMap<string, SourceKey> = new Map(
  sourceKeys('label').map((key) => [toLabel(key), key]),
);
/** Labels that only a database has. */
const OF_DATABASES = ['engine', 'databases', 'exclude', 'user', 'password_file'].map(
  (name) => `${PREFIX}${name}`,
);

/** The sources that labels on containers declare; one-off containers of `docker compose run` are none. */
export function readLabels(
  containers: readonly ContainerListing[],
  scope: Scope,
): { readonly candidates: readonly Candidate[]; readonly problems: readonly ConfigProblem[] } {
  const candidates: Candidate[] = [];
  const problems: ConfigProblem[] = [];
  for (const container of containers.filter((one) => isInScope(one, scope))) {
    const read = readContainer(container, scope);
    problems.push(...read.problems);
    candidates.push(...read.candidates);
  }
  return { candidates: mergeSame(candidates), problems };
}

function isInScope({ labels }: ContainerListing, { discover, project }: Scope): boolean {
  if (labels[COMPOSE_ONEOFF]?.toLowerCase() === 'true') {
    return false;
  }
  return discover === 'host' || (discover === 'project' && labels[COMPOSE_PROJECT] === project);
}

interface ReadContainer {
  readonly candidates: readonly Candidate[];
  readonly problems: readonly ConfigProblem[];
}

function readContainer(container: ContainerListing, scope: Scope): ReadContainer {
  const labels = Object.keys(container.labels).filter((label) => label.startsWith(PREFIX));
  if (labels.length === 0) {
    return { candidates: [], problems: [] };
  }
  const where = `container "${container.name}"`;
  const { name, problem: wrongName } = readName(container, scope, where);
  const enabled = readEnabled(container, name, where);
  if (enabled === 'no') {
    return { candidates: [], problems: [] };
  }
  const isHostWide = scope.discover === 'host';
  const isAlone = isForVolumesAlone(container, labels, enabled);
  const volumes = readVolumes({
    container,
    where,
    name,
    isHostWide,
    isForVolumesAlone: isAlone,
  });
  const candidates = typeof enabled === 'string' ? volumes.candidates : [];
  const problems = [
    ...labels.flatMap((label) => describeUnknown(label, { source: name, where })),
    ...volumes.problems,
  ];
  if (isAlone) {
    return { candidates, problems };
  }
  if (enabled === 'unsaid') {
    return { candidates, problems: [...problems, notEnabled(name, where)] };
  }
  if (enabled !== 'yes' || wrongName !== null) {
    const wrong = enabled === 'yes' ? [] : [enabled];
    return { candidates, problems: [...problems, ...wrong, ...(wrongName ?? [])] };
  }
  return { candidates: [toCandidate(container, name, where), ...candidates], problems };
}

function toCandidate(container: ContainerListing, name: string, where: string): Candidate {
  const given: Partial<Record<SourceKey, Given>> = {};
  for (const [label, key] of KNOWN) {
    const value = container.labels[label];
    if (value !== undefined) {
      given[key] = { value, option: `${label} on ${where}`, from: `label ${label}` };
    }
  }
  const service = container.labels[COMPOSE_SERVICE];
  return {
    name,
    target: { by: 'discovery', containerId: container.id, container: container.name },
    given,
    where,
    service: service === undefined ? null : `${container.labels[COMPOSE_PROJECT] ?? ''}/${service}`,
    isRunning: container.state === 'running',
  };
}

function readName(
  { name, labels }: ContainerListing,
  scope: Scope,
  where: string,
): { readonly name: string; readonly problem: readonly ConfigProblem[] | null } {
  const service = labels[COMPOSE_SERVICE];
  const project = scope.discover === 'host' ? labels[COMPOSE_PROJECT] : undefined;
  const byDefault =
    service === undefined ? name : project === undefined ? service : `${project}-${service}`;
  const chosen = labels[`${PREFIX}name`] ?? byDefault;
  if (isSourceName(chosen)) {
    return { name: chosen, problem: null };
  }
  const option = `${PREFIX}name on ${where}`;
  const problem = wrongValue(plainName, chosen, { source: chosen, option, detail: '' });
  const hint = 'Give the source a name with the label backupd.name.';
  return { name: chosen, problem: [{ ...problem, hint }] };
}

function readEnabled(
  { labels }: ContainerListing,
  source: string,
  where: string,
): 'yes' | 'no' | 'unsaid' | ConfigProblem {
  const label = `${PREFIX}enable`;
  const text = labels[label];
  if (text === undefined) {
    return 'unsaid';
  }
  const read = readValue(yesOrNo, text, { source, option: `${label} on ${where}` });
  return read.ok ? (read.value ? 'yes' : 'no') : read.problem;
}

function notEnabled(source: string, where: string): ConfigProblem {
  return {
    source,
    option: `${PREFIX}enable on ${where}`,
    message: `${where} has labels of backupd but not backupd.enable=true, so it is not backed up`,
    hint: 'Add the label backupd.enable=true, or backupd.enable=false where that is meant.',
    severity: 'loud',
  };
}

function describeUnknown(
  label: string,
  { source, where }: { readonly source: string; readonly where: string },
): readonly ConfigProblem[] {
  const origin = { source, option: `${label} on ${where}` };
  if (KNOWN.has(label)) {
    return [];
  }
  const endings = [...KNOWN.keys()].map((known) => known.slice(PREFIX.length));
  const meant = suggest(label.slice(PREFIX.length), endings);
  return [
    unknownOption(
      origin,
      `this version of backupd has no label ${label}`,
      meant === null ? null : `${PREFIX}${meant}`,
    ),
  ];
}

/** A container that is labelled for its volumes may have no database: then nothing of its labels or image speaks of one. */
function isForVolumesAlone(
  { image }: ContainerListing,
  labels: readonly string[],
  enabled: ReturnType<typeof readEnabled>,
): boolean {
  if (!labels.includes(VOLUMES_LABEL) || labels.some((label) => OF_DATABASES.includes(label))) {
    return false;
  }
  return (
    enabled === 'unsaid' ||
    !/postg(?:res|is)|timescale|pgvector|citus|mysql|mariadb|percona|mongo|ferretdb/i.test(image)
  );
}
