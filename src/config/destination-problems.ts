import { S3 } from '../core/destination-settings.ts';
import type { ConfigProblem } from '../core/discovery.ts';
import { toVariableName } from '../core/layout.ts';
import { suggest } from '../core/suggest.ts';
import {
  DESTINATION_KEYS,
  destinationSchema,
  toDestinationVariable,
  type DestinationKey,
  type Given,
} from './destination-schema.ts';
import { unknownOption } from './problems.ts';
import { globalSchema } from './schema.ts';

/** A destination is a bucket or a directory, and has the options of that. */
export function describeKind(name: string, given: Given): readonly ConfigProblem[] {
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

/** Two names that are one in variables would get each other's options. */
export function describeAlike(names: readonly string[]): readonly ConfigProblem[] {
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
export function describeUnused(
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
