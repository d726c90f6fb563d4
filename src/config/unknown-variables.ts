import { DESTINATION_PREFIX, S3, S3_PREFIX } from '../core/destination-settings.ts';
import type { ConfigProblem } from '../core/discovery.ts';
import { suggest } from '../core/suggest.ts';
import { DESTINATION_KEYS, toDestinationVariable } from './destination-schema.ts';
import { unknownOption } from './problems.ts';
import { globalSchema } from './schema.ts';
import { SOURCE_PREFIX, sourceKeys, toSnakeCase } from './source-schema.ts';

const PREFIX = 'BACKUPD_';
const NAMES = Object.values(globalSchema).map(({ env }) => env.slice(PREFIX.length));
const ENDINGS = sourceKeys('variable').map((key) => toSnakeCase(key).toUpperCase());
const DESTINATION_ENDINGS = DESTINATION_KEYS.map((key) => toSnakeCase(key).toUpperCase());
const OF_S3 = DESTINATION_KEYS.filter((key) => key !== 'path').map((key) =>
  toDestinationVariable(S3, key).slice(PREFIX.length),
);

/** The problem of a `BACKUPD_*` variable that means nothing; its value is not shown, it may be a secret. */
export function describeUnknown(variable: string): ConfigProblem {
  const isFile = variable.endsWith('_FILE');
  const name = isFile ? variable.slice(0, -'_FILE'.length) : variable;
  const meant = suggestFor(name);
  return unknownOption(
    { source: null, option: variable },
    `this version of backupd has no variable ${variable}`,
    meant === null ? null : `${meant}${isFile ? '_FILE' : ''}`,
  );
}

function suggestFor(name: string): string | null {
  if (name.startsWith(SOURCE_PREFIX)) {
    return suggestEnding(name, ENDINGS);
  }
  if (name.startsWith(DESTINATION_PREFIX)) {
    return suggestEnding(name, DESTINATION_ENDINGS);
  }
  return suggestAmong(name, name.startsWith(S3_PREFIX) ? OF_S3 : [...NAMES, ...OF_S3]);
}

function suggestAmong(name: string, names: readonly string[]): string | null {
  const meant = suggest(name.slice(PREFIX.length), names);
  return meant === null ? null : `${PREFIX}${meant}`;
}

/** The same name with the ending that was probably meant; endings have one word to three. */
function suggestEnding(name: string, endings: readonly string[]): string | null {
  const words = name.split('_');
  for (const count of [3, 2, 1]) {
    const meant = suggest(
      words.slice(-count).join('_'),
      endings.filter((ending) => ending.split('_').length === count),
    );
    if (meant !== null) {
      return [...words.slice(0, -count), meant].join('_');
    }
  }
  return null;
}
