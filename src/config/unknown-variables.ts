import type { ConfigProblem } from '../core/discovery.ts';
import { suggest } from '../core/suggest.ts';
import { unknownOption } from './problems.ts';
import { globalSchema } from './schema.ts';
import { SOURCE_PREFIX, sourceKeys, toSnakeCase } from './source-schema.ts';

const PREFIX = 'BACKUPD_';
const NAMES = Object.values(globalSchema).map(({ env }) => env.slice(PREFIX.length));
const ENDINGS = sourceKeys('variable').map((key) => toSnakeCase(key).toUpperCase());

/** The problem of a `BACKUPD_*` variable that means nothing; its value is not shown, it may be a secret. */
export function describeUnknown(variable: string): ConfigProblem {
  const isFile = variable.endsWith('_FILE');
  const name = isFile ? variable.slice(0, -'_FILE'.length) : variable;
  const meant = name.startsWith(SOURCE_PREFIX) ? suggestOfSource(name) : suggestGlobal(name);
  return unknownOption(
    { source: null, option: variable },
    `this version of backupd has no variable ${variable}`,
    meant === null ? null : `${meant}${isFile ? '_FILE' : ''}`,
  );
}

function suggestGlobal(name: string): string | null {
  const meant = suggest(name.slice(PREFIX.length), NAMES);
  return meant === null ? null : `${PREFIX}${meant}`;
}

/** The same name with the ending that was probably meant; endings have one word or two. */
function suggestOfSource(name: string): string | null {
  const words = name.split('_');
  for (const count of [2, 1]) {
    const meant = suggest(
      words.slice(-count).join('_'),
      ENDINGS.filter((ending) => ending.split('_').length === count),
    );
    if (meant !== null) {
      return [...words.slice(0, -count), meant].join('_');
    }
  }
  return null;
}
