import { S3, type BucketSettings, type DestinationSettings } from '../core/destination-settings.ts';
import type { ConfigProblem } from '../core/discovery.ts';
import { toVariableName } from '../core/layout.ts';
import { secret } from '../core/secret.ts';
import type { OptionInForce } from '../core/settings.ts';
import { describeAlike, describeKind, describeUnused } from './destination-problems.ts';
import {
  DESTINATION_KEYS,
  destinationSchema,
  parseDestinationVariable,
  showValue,
  toDestinationVariable,
  type DestinationKey,
  type Given,
  type GivenValue,
  type DestinationValues,
} from './destination-schema.ts';
import type { Environment, Variable } from './environment.ts';
import type { ConfigFile } from './file.ts';
import { FormatError } from './formats.ts';
import { wrongValue } from './problems.ts';
import type { GlobalValues } from './schema.ts';

export interface DestinationsRead {
  /** Those without a problem. */
  readonly destinations: readonly DestinationSettings[];
  readonly options: readonly OptionInForce[];
  readonly problems: readonly ConfigProblem[];
}

export interface DestinationLayers {
  readonly variables: ReadonlyMap<string, Variable>;
  readonly file: ConfigFile | null;
  readonly environment: Environment;
}

/** The destinations of variables and file. One with a wrong value is left out and told. */
export function loadDestinations(
  layers: DestinationLayers,
  values: GlobalValues,
): DestinationsRead {
  const byVariable = givenByVariables(layers.variables);
  const names = [
    ...new Set([
      ...(byVariable.has(null) ? [S3] : []),
      ...(values.destinations ?? []),
      ...(layers.file?.destinations.keys() ?? []),
    ]),
  ];
  const read = names.map((name) => {
    const inVariables = byVariable.get(name === S3 ? null : toVariableName(name)) ?? {};
    const given = { ...givenByFile(name, layers.file), ...inVariables };
    const isBucket = given.path === undefined;
    return readDestination(
      name,
      isBucket ? { ...givenByAws(layers.environment), ...given } : given,
      values,
    );
  });
  return {
    destinations: read.flatMap(({ settings }) => settings ?? []),
    options: read.flatMap(({ options }) => options),
    problems: [
      ...read.flatMap(({ problems }) => problems),
      ...describeAlike(names),
      ...describeUnused(byVariable, names),
    ],
  };
}

function givenByVariables(
  variables: ReadonlyMap<string, Variable>,
): ReadonlyMap<string | null, Given> {
  const byName = new Map<string | null, Partial<Record<DestinationKey, GivenValue>>>();
  for (const [variable, { value, from }] of variables) {
    const about = parseDestinationVariable(variable);
    if (about !== null) {
      const options = byName.get(about.name) ?? {};
      const direct = from === variable ? 'environment' : from;
      options[about.key] = { value, option: from, from: direct };
      byName.set(about.name, options);
    }
  }
  return byName;
}

/** What the AWS tools would go by: to take such a store for AWS would be to speak to it in the wrong way. */
function givenByAws(environment: Environment): Given {
  for (const option of ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL']) {
    const value = environment[option];
    if (value !== undefined && value !== '') {
      return { endpoint: { value, option, from: option } };
    }
  }
  return {};
}

function givenByFile(name: string, file: ConfigFile | null): Given {
  const entry = file?.destinations.get(name);
  if (file === null || entry === undefined) {
    return {};
  }
  const given = Object.entries(entry).map(([key, value]) => [
    key,
    { value, option: `destinations.${name}.${key} in ${file.path}`, from: `file ${file.path}` },
  ]);
  return Object.fromEntries(given) as Given;
}

function readDestination(
  name: string,
  given: Given,
  values: GlobalValues,
): {
  readonly settings: DestinationSettings | null;
  readonly options: readonly OptionInForce[];
  readonly problems: readonly ConfigProblem[];
} {
  const said: Record<string, unknown> = {};
  const options: OptionInForce[] = [];
  const problems: ConfigProblem[] = [...describeKind(name, given)];
  for (const key of DESTINATION_KEYS) {
    const one = given[key];
    if (one === undefined) {
      continue;
    }
    const shown = showValue(key, one.value);
    options.push({ name: toDestinationVariable(name, key), value: shown, from: one.from });
    try {
      said[key] = destinationSchema[key].kind.parse(one.value);
    } catch (error) {
      if (!(error instanceof FormatError)) {
        throw error;
      }
      const where = { source: null, option: one.option, detail: error.message };
      problems.push(wrongValue(destinationSchema[key].kind, shown, where));
    }
  }
  const settings = problems.length === 0 ? toSettings(name, said, values) : null;
  return { settings, options, problems };
}

function toSettings(
  name: string,
  said: DestinationValues,
  values: GlobalValues,
): DestinationSettings {
  return {
    name,
    place: said.path === undefined ? toBucket(said) : { kind: 'directory', path: said.path },
    schedule: {
      patterns: said.uploadSchedule ?? values.uploadSchedule,
      timezone: values.timezone,
      catchUpMs: values.catchUp,
    },
    keep: said.keep ?? null,
    rateBytes: said.rate ?? null,
    isOffsite: said.offsite ?? null,
    allowedRegions: values.allowedRegions,
  };
}

/** Of which nothing is said. */
const UNSAID = {
  bucket: '',
  prefix: '',
  region: null,
  storageClass: null,
  pathStyle: null,
  lifecycle: null,
  objectLock: null,
  ca: null,
} as const;

function toBucket(said: DestinationValues): BucketSettings {
  const { bucket, prefix, region, storageClass, pathStyle, lifecycle, objectLock, ca } = {
    ...UNSAID,
    ...said,
  };
  const { accessKeyId, secretAccessKey } = said;
  return {
    kind: 's3',
    bucket,
    prefix,
    endpoint: said.endpoint ?? null,
    region,
    storageClass,
    pathStyle,
    lifecycle,
    objectLock,
    ca,
    credentials:
      accessKeyId === undefined || secretAccessKey === undefined
        ? null
        : { accessKeyId, secretAccessKey: secret(secretAccessKey) },
  };
}
