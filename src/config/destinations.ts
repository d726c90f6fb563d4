import { S3, type BucketSettings, type DestinationSettings } from '../core/destination-settings.ts';
import type { ConfigProblem } from '../core/discovery.ts';
import { secret } from '../core/secret.ts';
import type { OptionInForce } from '../core/settings.ts';
import { suggest } from '../core/suggest.ts';
import { toVariableName } from '../core/layout.ts';
import {
  DESTINATION_KEYS,
  destinationSchema,
  parseDestinationVariable,
  showValue,
  toDestinationVariable,
  type DestinationKey,
  type DestinationValues,
} from './destination-schema.ts';
import type { Environment, Variable } from './environment.ts';
import type { ConfigFile } from './file.ts';
import { FormatError } from './formats.ts';
import { unknownOption, wrongValue } from './problems.ts';
import { globalSchema, type GlobalValues } from './schema.ts';

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

interface GivenValue {
  readonly value: string;
  readonly option: string;
  readonly from: string;
}

type Given = Readonly<Partial<Record<DestinationKey, GivenValue>>>;

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
  return {
    settings,
    options,
    problems: settings === null ? problems : describeUnapplied(name, given),
  };
}

/** A destination is a bucket or a directory, and has the options of that. */
function describeKind(name: string, given: Given): readonly ConfigProblem[] {
  const { bucket, path } = given;
  const [bucketOption, pathOption] = [
    toDestinationVariable(name, 'bucket'),
    toDestinationVariable(name, 'path'),
  ];
  if (name === S3 && path !== undefined) {
    return [fatal(path.option, `the destination "${S3}" is a bucket, and has no path`)];
  }
  if (bucket === undefined && path === undefined) {
    const wanted = name === S3 ? bucketOption : `${bucketOption} or ${pathOption}`;
    return [fatal(bucketOption, `the destination "${name}" has no place: ${wanted} is missing`)];
  }
  if (bucket !== undefined && path !== undefined) {
    const message = `the destination "${name}" has a bucket and a path, expected one of them`;
    return [fatal(path.option, message)];
  }
  if (path !== undefined) {
    return DESTINATION_KEYS.filter((key) => destinationSchema[key].of === 's3').flatMap((key) => {
      const one = given[key];
      return one === undefined
        ? []
        : [fatal(one.option, `the destination "${name}" is a directory, which has no ${key}`)];
    });
  }
  return describeKeys(given);
}

/** Whoever sets it must not believe that it works. */
function describeUnapplied(name: string, { lifecycle }: Given): readonly ConfigProblem[] {
  return lifecycle === undefined
    ? []
    : [
        {
          source: null,
          option: lifecycle.option,
          message: `the lifecycle of the destination "${name}" is not applied: this backupd sets no rules at a store yet`,
          hint: 'Set such rules at the store by its own means, and remove this option.',
          severity: 'loud',
        },
      ];
}

/** Half of a key is none. */
function describeKeys({ accessKeyId, secretAccessKey }: Given): readonly ConfigProblem[] {
  if ((accessKeyId === undefined) === (secretAccessKey === undefined)) {
    return [];
  }
  const there = accessKeyId ?? secretAccessKey;
  const missing = accessKeyId === undefined ? 'the id of the key' : 'its secret';
  return [fatal(there?.option ?? '', `${missing} is missing, expected both or none`)];
}

function fatal(option: string, message: string): ConfigProblem {
  return { source: null, option, message, hint: null, severity: 'fatal' };
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

/** Two names that are one in variables would get each other's options. */
function describeAlike(names: readonly string[]): readonly ConfigProblem[] {
  return [...Map.groupBy(names, toVariableName).values()]
    .filter((group) => group.length > 1)
    .map((group) =>
      fatal(
        globalSchema.destinations.env,
        `the destinations ${group.map((name) => `"${name}"`).join(' and ')} have the same variables, expected names that differ in more than "-", "." and "_"`,
      ),
    );
}

/** Variables that are about no destination. */
function describeUnused(
  byVariable: ReadonlyMap<string | null, Given>,
  names: readonly string[],
): readonly ConfigProblem[] {
  const known = names.filter((name) => name !== S3).map(toVariableName);
  return [...byVariable].flatMap(([name, given]) => {
    if (name === null || known.includes(name)) {
      return [];
    }
    const meant = suggest(name, known);
    return Object.entries(given).map(([key, { option }]) => ({
      ...unknownOption(
        { source: null, option },
        `there is no destination whose name is ${name} in variables`,
        meant === null ? null : option.replace(`_${name}_`, `_${meant}_`),
      ),
      ...(meant === null ? { hint: hintFor(name, key as DestinationKey) } : {}),
    }));
  });
}

function hintFor(name: string, key: DestinationKey): string {
  return name === S3.toUpperCase()
    ? `Perhaps ${toDestinationVariable(S3, key)} was meant.`
    : `Name it in ${globalSchema.destinations.env}, or remove the variable.`;
}
