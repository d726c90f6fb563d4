import type { ConfigProblem } from '../core/discovery.ts';
import { toFailure } from '../core/errors.ts';
import { parseDestinationVariable } from './destination-schema.ts';
import type { GlobalOption } from './option.ts';
import { globalSchema } from './schema.ts';
import { parseSourceVariable } from './source-schema.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads a text file whole. */
export type ReadText = (path: string) => Promise<string>;

/** A variable as it is set, directly or by the file that `<name>_FILE` names. */
export interface Variable {
  readonly value: string;
  /** The variable that was set: the name itself or with `_FILE`. */
  readonly from: string;
}

export interface EnvironmentRead {
  /** `BACKUPD_*` variables that there are, by their names without `_FILE`; wrong ones are left out. */
  readonly variables: ReadonlyMap<string, Variable>;
  /** `BACKUPD_*` variables that mean nothing. */
  readonly unknown: readonly string[];
  readonly problems: readonly ConfigProblem[];
}

/** The environment of this process, also for what is not ours (`TZ`, `DOCKER_HOST`): nothing else reads it. */
export function processEnvironment(): Environment {
  return process.env;
}

const GLOBAL_VARIABLES: ReadonlySet<string> = new Set(
  Object.values(globalSchema).map((option) => option.env),
);

/**
 * Without a default they can be left empty, as compose files do that pass a variable of the host on; but for those whose
 * absence would change what nobody notices.
 */
const MAY_BE_EMPTY: ReadonlySet<string> = new Set(
  Object.values(globalSchema)
    .filter((option: GlobalOption<unknown>) => option.default === null && !option.emptyIsWrong)
    .map((option) => option.env),
);

/** Those of destinations can be left empty too. */
function mayBeEmpty(name: string): boolean {
  return MAY_BE_EMPTY.has(name) || parseDestinationVariable(name) !== null;
}

function isVariable(name: string): boolean {
  return (
    GLOBAL_VARIABLES.has(name) ||
    parseSourceVariable(name) !== null ||
    parseDestinationVariable(name) !== null
  );
}

/** The variable whose value a file has by this name; null where it is none of those: `password_file` is an option itself. */
function variableOfFile(name: string): string | null {
  const variable = name.endsWith('_FILE') ? name.slice(0, -'_FILE'.length) : '';
  return isVariable(variable) ? variable : null;
}

/** Reads every `BACKUPD_*` variable, and the files that those ending in `_FILE` name. */
export async function readEnvironment(
  environment: Environment,
  readText: ReadText,
): Promise<EnvironmentRead> {
  const variables = new Map<string, Variable>();
  const unknown: string[] = [];
  const problems: ConfigProblem[] = [];
  const ours = Object.entries(environment).filter(([name]) => name.startsWith('BACKUPD_'));
  for (const [name, value] of ours) {
    const variable = variableOfFile(name);
    if (value === undefined || (value === '' && mayBeEmpty(variable ?? name))) {
      continue;
    }
    if (variable !== null) {
      const read = await readVariableFile(name, value, readText);
      if (environment[variable] !== undefined) {
        problems.push(bothSet(variable));
      } else if (read.problem !== null) {
        problems.push(read.problem);
      } else {
        variables.set(variable, { value: read.value, from: name });
      }
    } else if (!isVariable(name)) {
      unknown.push(name);
    } else if (environment[`${name}_FILE`] === undefined) {
      variables.set(name, { value, from: name });
    }
  }
  return { variables, unknown, problems };
}

async function readVariableFile(
  name: string,
  path: string,
  readText: ReadText,
): Promise<{ readonly value: string; readonly problem: ConfigProblem | null }> {
  try {
    return { value: (await readText(path)).replace(/\r?\n$/, ''), problem: null };
  } catch (error) {
    const problem = {
      source: null,
      option: name,
      message: `the file "${path}" cannot be read: ${toFailure(error).message}`,
      hint: `Name a file inside the backupd container that it may read, or remove ${name}.`,
      severity: 'fatal',
    } as const;
    return { value: '', problem };
  }
}

function bothSet(variable: string): ConfigProblem {
  return {
    source: null,
    option: variable,
    message: `${variable} and ${variable}_FILE are both set, expected one of them`,
    hint: `Remove ${variable} or ${variable}_FILE.`,
    severity: 'fatal',
  };
}
