import type { ConfigProblem, ContainerListing } from '../core/discovery.ts';
import type { Job, TargetSpec } from '../core/job.ts';
import { toVariableName } from '../core/layout.ts';
import type { OptionInForce } from '../core/settings.ts';
import { suggest } from '../core/suggest.ts';
import { readLabels, type Candidate } from './labels.ts';
import type { Given, GivenOptions, LoadedConfig } from './load.ts';
import { readValue, unknownOption } from './problems.ts';
import { globalSchema, type GlobalKey } from './schema.ts';
import { sourceSchema, type SourceKey, type SourceValues } from './source-schema.ts';
import { toJob } from './to-job.ts';

export interface JobsFound {
  readonly jobs: readonly Job[];
  readonly problems: readonly ConfigProblem[];
  /** Every option of each job by the name of its source, with where it came from. */
  readonly options: ReadonlyMap<string, readonly OptionInForce[]>;
}

/**
 * The sources of labels, `BACKUPD_SOURCES` and file with everything configured about them. A source with a wrong value is
 * left out and told.
 * @param containers as listed now; null where Docker could not be asked: then labels are not known
 */
export function jobsFrom(
  config: LoadedConfig,
  containers: readonly ContainerListing[] | null,
  own: { readonly project: string | null },
): JobsFound {
  const scope = { discover: config.settings.discover, project: own.project };
  const labelled = readLabels(containers ?? [], scope);
  const all = [...labelled.candidates, ...declaredCandidates(config), ...fileCandidates(config)];
  const settled = pickRunning(all);
  const problems = [
    ...labelled.problems,
    ...settled.problems,
    ...describeDuplicates(settled.candidates),
    ...(containers === null ? [] : describeUnused(config, new Set(all.map(({ name }) => name)))),
  ];
  const stopped = new Set(
    [...config.problems, ...problems]
      .filter(({ severity }) => severity === 'source')
      .map(({ source }) => source),
  );
  const jobs: Job[] = [];
  const options = new Map<string, readonly OptionInForce[]>();
  for (const candidate of settled.candidates.filter(({ name }) => !stopped.has(name))) {
    const read = readOptions(candidate, config);
    problems.push(...read.problems);
    if (read.problems.length === 0 && read.values.enable !== false) {
      jobs.push(toJob(candidate, read.values, config));
      options.set(candidate.name, read.inForce);
    }
  }
  return { jobs, problems, options };
}

function declaredCandidates({ sources }: LoadedConfig): readonly Candidate[] {
  const { declared, declaredIn } = sources;
  return declared.map(({ name, engine, target, databases }) => {
    const from = { option: declaredIn, from: `environment ${declaredIn}` };
    return {
      name,
      target: engine === 'volume' ? volumeSpec(target) : { by: 'name', container: target },
      given: {
        ...(engine === 'volume' ? {} : { engine: { value: engine, ...from } }),
        ...(databases === null ? {} : { databases: { value: databases, ...from } }),
      },
      where: declaredIn,
      service: null,
      isRunning: false,
    };
  });
}

function volumeSpec(volume: string): TargetSpec {
  return { by: 'volume', volume, labelled: null };
}

/** An entry of the file that names a container or a volume is a source; others are about sources declared elsewhere. */
function fileCandidates({ sources }: LoadedConfig): readonly Candidate[] {
  return [...sources.entries].flatMap(([name, { container, volume }]) => {
    const declared = container ?? volume;
    if (declared === undefined) {
      return [];
    }
    const what = String(declared.value);
    const target = container === undefined ? volumeSpec(what) : { by: 'name', container: what };
    const where = declared.option.replace(/\.(?:container|volume) in /, ' in ');
    return [{ name, target, given: {}, where, service: null, isRunning: false } as Candidate];
  });
}

/** Of several containers of one compose service (scaled, or being recreated) the one that runs; else none. */
function pickRunning(candidates: readonly Candidate[]): {
  readonly candidates: readonly Candidate[];
  readonly problems: readonly ConfigProblem[];
} {
  const refused = new Set<Candidate>();
  const problems: ConfigProblem[] = [];
  const services = Map.groupBy(candidates, (candidate) => candidate.service ?? candidate);
  for (const group of services.values()) {
    const running = group.filter(({ isRunning }) => isRunning);
    const chosen = group.length === 1 ? group : running;
    for (const candidate of group) {
      if (chosen.length !== 1) {
        problems.push(severalContainers(candidate, group));
      }
      if (chosen.length !== 1 || candidate !== chosen[0]) {
        refused.add(candidate);
      }
    }
  }
  return { candidates: candidates.filter((candidate) => !refused.has(candidate)), problems };
}

function severalContainers(candidate: Candidate, group: readonly Candidate[]): ConfigProblem {
  const names = group.map(({ where }) => where).join(' and ');
  return {
    source: candidate.name,
    option: candidate.where,
    message: `the service of source "${candidate.name}" has ${group.length} containers, ${names}, and not one of them alone is running`,
    hint: 'Run one container of a database service, and remove the others. To back up several, give each a service or a source of BACKUPD_SOURCES.',
    severity: 'source',
  };
}

/** Two sources of one name stop each other. */
function describeDuplicates(candidates: readonly Candidate[]): readonly ConfigProblem[] {
  return [...Map.groupBy(candidates, ({ name }) => name).values()]
    .filter((group) => group.length > 1)
    .flatMap((group) => group.map((candidate) => duplicate(candidate, group)));
}

function duplicate({ name, where }: Candidate, group: readonly Candidate[]): ConfigProblem {
  return {
    source: name,
    option: where,
    message: `${group.length} sources have the name "${name}", from ${group.map((one) => one.where).join(' and ')}: none of them runs`,
    hint: 'Give each a name of its own, containers with the label backupd.name.',
    severity: 'source',
  };
}

/** Variables and entries of the file that are about no source, or about more than one. */
function describeUnused(
  { sources }: LoadedConfig,
  names: ReadonlySet<string>,
): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const [inVariable, given] of sources.variables) {
    const about = [...names].filter((name) => toVariableName(name) === inVariable);
    if (about.length !== 1) {
      problems.push(...Object.values(given).map((one) => unclear(one, inVariable, about, names)));
    }
  }
  for (const [name, given] of sources.entries) {
    if (!names.has(name)) {
      const [first] = Object.values(given);
      const option = first?.option.replace(/\.[^.]* in /, ' in ') ?? `sources.${name}`;
      const message = `there is no source "${name}", and its entry names no container`;
      problems.push(unknownOption({ source: name, option }, message, suggest(name, names)));
    }
  }
  return problems;
}

function unclear(
  { option }: Given,
  inVariable: string,
  about: readonly string[],
  names: ReadonlySet<string>,
): ConfigProblem {
  if (about.length > 1) {
    return {
      source: null,
      option,
      message: `${inVariable} stands for the sources ${about.map((name) => `"${name}"`).join(' and ')} alike: it holds for all of them`,
      hint: 'Rename one of them, or use labels or the configuration file for them.',
      severity: 'loud',
    };
  }
  const meant = suggest(inVariable, [...names].map(toVariableName));
  return unknownOption(
    { source: null, option },
    `there is no source whose name is ${inVariable} in variables`,
    meant === null ? null : option.replace(`_${inVariable}_`, `_${meant}_`),
  );
}

const OF_DECLARATION: readonly SourceKey[] = [
  'name',
  'container',
  'volume',
  'volumes',
  'volumesExclude',
];

function isLabelled(target: TargetSpec): boolean {
  return target.by === 'discovery' || (target.by === 'volume' && target.labelled !== null);
}

interface ReadOptions {
  readonly values: SourceValues;
  readonly inForce: readonly OptionInForce[];
  readonly problems: readonly ConfigProblem[];
}

/** The strongest value of each option: the declaration of a label, variables, `BACKUPD_SOURCES`, the file, the global one. */
function readOptions({ name, target, given }: Candidate, config: LoadedConfig): ReadOptions {
  const variables = config.sources.variables.get(toVariableName(name)) ?? {};
  const entry = config.sources.entries.get(name) ?? {};
  const declaration = isLabelled(target) ? [given, variables] : [variables, given];
  const layers: readonly GivenOptions[] = [...declaration, entry];
  const values: Record<string, unknown> = {};
  const inForce: OptionInForce[] = [];
  const problems: ConfigProblem[] = [];
  for (const key of Object.keys(sourceSchema) as SourceKey[]) {
    const strongest = layers.find((layer) => layer[key] !== undefined)?.[key];
    if (strongest === undefined) {
      // What belongs to the declaration is not given otherwise.
      if (!OF_DECLARATION.includes(key)) {
        inForce.push(fromGlobal(key, config));
      }
      continue;
    }
    const { value, option, from } = strongest;
    inForce.push({ name: key, value: typeof value === 'string' ? value : value.join(','), from });
    const read =
      typeof value === 'string'
        ? readValue<unknown>(sourceSchema[key].kind, value, { source: name, option })
        : ({ ok: true, value } as const);
    if (read.ok) {
      values[key] = read.value;
    } else {
      problems.push(read.problem);
    }
  }
  return { values, inForce, problems };
}

function fromGlobal(key: SourceKey, config: LoadedConfig): OptionInForce {
  const globalKey = key === 'drill' ? 'drillSchedule' : key;
  if (!(globalKey in globalSchema)) {
    return { name: key, value: null, from: 'default' };
  }
  const { env } = globalSchema[globalKey as GlobalKey];
  const option = config.options.find(({ name }) => name === env);
  return { name: key, value: option?.value ?? null, from: env };
}
