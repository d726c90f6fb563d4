import convict from 'convict';
import { readFile } from 'node:fs/promises';
import type { ConfigProblem } from '../core/discovery.ts';
import { HIDDEN } from '../core/secret.ts';
import type { OptionInForce, Settings } from '../core/settings.ts';
import { loadDestinations } from './destinations.ts';
import { readEnvironment, type Environment, type ReadText, type Variable } from './environment.ts';
import { fileKeyOf } from './file-keys.ts';
import type { ConfigFile } from './file.ts';
import { FormatError } from './formats.ts';
import { readValue, wrongValue } from './problems.ts';
import { timezone } from './schedule-format.ts';
import { describeIncomplete, toNotifySettings } from './notify.ts';
import type { GlobalOption } from './option.ts';
import { globalSchema, type GlobalKey, type GlobalValues } from './schema.ts';
import { parseSourceVariable, type SourceKey } from './source-schema.ts';
import { parseSources, type DeclaredSource } from './sources-url.ts';
import { describeUnknown } from './unknown-variables.ts';

/** A value of an option of a source, as written. */
export interface Given {
  readonly value: string | readonly string[];
  /** For problems: the variable, label or key, with where it is. */
  readonly option: string;
  /** For `config`: where it came from. */
  readonly from: string;
}

export type GivenOptions = Readonly<Partial<Record<SourceKey, Given>>>;

/** What variables and file say of sources, before any container was looked at. */
interface SourceConfig {
  readonly declared: readonly DeclaredSource[];
  /** The variable that declares them. */
  readonly declaredIn: string;
  /** `BACKUPD_SOURCE_<NAME>_*` by NAME as in the variable. */
  readonly variables: ReadonlyMap<string, GivenOptions>;
  /** Entries of the file by the names of their sources. */
  readonly entries: ReadonlyMap<string, GivenOptions>;
}

export interface LoadedConfig {
  readonly settings: Settings;
  /** The global options, read. Where one is wrong its default is here, and a `fatal` problem among the problems. */
  readonly values: GlobalValues;
  readonly options: readonly OptionInForce[];
  readonly problems: readonly ConfigProblem[];
  readonly sources: SourceConfig;
}

/** What all sources of the configuration say, by key. */
interface Layers {
  readonly variables: ReadonlyMap<string, Variable>;
  readonly file: ConfigFile | null;
  /** A valid `TZ`. */
  readonly zone: string | null;
}

const KEYS = Object.keys(globalSchema) as GlobalKey[];

/**
 * Reads the whole configuration but labels: variables, the files of `_FILE` variables, the configuration file, defaults.
 * Never throws for what is configured wrongly: every problem is in the result, all at once.
 */
export async function loadConfig(
  environment: Environment,
  readText: ReadText = readTextFile,
): Promise<LoadedConfig> {
  const { variables, unknown, problems } = await readEnvironment(environment, readText);
  const path = variables.get(globalSchema.config.env)?.value;
  // A relative one is a problem of its own.
  const file = path?.startsWith('/') === true ? await readFileAt(path, readText) : null;
  const zone = readZone(environment['TZ']);
  const layers: Layers = { variables, file, zone: zone.name };
  const global = loadGlobal(layers);
  const sources = readSources(layers);
  const { destinations, ...found } = loadDestinations(
    { variables, file, environment },
    global.values,
  );
  return {
    settings: { ...toSettings(global.values), destinations },
    values: global.values,
    options: [...KEYS.map((key) => inForce(key, global, layers)), ...found.options],
    problems: [
      ...problems,
      ...(file?.problems ?? []),
      ...zone.problems,
      ...global.problems,
      ...twoSchemes(global, layers),
      ...describeIncomplete(global.values, (key) => origin(key, layers).option),
      ...sources.problems,
      ...found.problems,
      ...unknown.map((name) => describeUnknown(name)),
    ],
    sources: sources.config,
  };
}

/** Most have none, and do without the memory that reading YAML takes. */
async function readFileAt(path: string, readText: ReadText): Promise<ConfigFile> {
  const { readConfigFile } = await import('./file.ts');
  return readConfigFile(path, readText);
}

async function readTextFile(path: string): Promise<string> {
  return readFile(path, 'utf8');
}

/** `TZ` is not ours, so a wrong one stops nothing. */
function readZone(text: string | undefined): {
  readonly name: string | null;
  readonly problems: readonly ConfigProblem[];
} {
  if (text === undefined || text === '') {
    return { name: null, problems: [] };
  }
  const read = readValue(timezone, text.replace(/^:/, ''), { source: null, option: 'TZ' });
  if (read.ok) {
    return { name: read.value, problems: [] };
  }
  const hint = 'UTC is used. Set TZ or BACKUPD_TIMEZONE to the name of a time zone.';
  return { name: null, problems: [{ ...read.problem, hint, severity: 'loud' }] };
}

interface Global {
  readonly values: GlobalValues;
  readonly texts: Readonly<Record<GlobalKey, string | null>>;
  readonly wrong: ReadonlyMap<GlobalKey, string>;
  readonly problems: readonly ConfigProblem[];
}

function loadGlobal(layers: Layers): Global {
  const wrong = new Map<GlobalKey, string>();
  const config = convict<Record<GlobalKey, string | null>>(collecting(wrong), {
    env: Object.fromEntries([...layers.variables].map(([name, { value }]) => [name, value])),
    args: [],
  });
  config.load({
    ...(layers.zone === null ? {} : { timezone: layers.zone }),
    ...layers.file?.settings,
  });
  try {
    config.validate({ allowed: 'strict' });
  } catch (error) {
    if (wrong.size === 0) {
      throw error;
    }
  }
  const texts = config.getProperties();
  const problems = [...wrong].map(([key, detail]) =>
    wrongValue(globalSchema[key].kind, texts[key] ?? '', {
      source: null,
      option: origin(key, layers).option,
      detail,
      isHidden: 'show' in globalSchema[key],
    }),
  );
  for (const key of wrong.keys()) {
    config.reset(key);
  }
  return { values: parseAll(config.getProperties()), texts, wrong, problems };
}

/** The schema, remembering what each format said: convict makes one text of all of it. */
function collecting(
  wrong: Map<GlobalKey, string>,
): convict.Schema<Record<GlobalKey, string | null>> {
  const entries = KEYS.map((key) => {
    const option: GlobalOption<unknown> = globalSchema[key];
    function format(value: unknown): void {
      try {
        option.format(value);
      } catch (error) {
        if (error instanceof FormatError) {
          wrong.set(key, error.message);
        }
        throw error;
      }
    }
    return [key, { doc: option.doc, default: option.default, env: option.env, format }] as const;
  });
  return Object.fromEntries(entries) as convict.Schema<Record<GlobalKey, string | null>>;
}

function parseAll(texts: Readonly<Record<GlobalKey, string | null>>): GlobalValues {
  const entries = KEYS.map((key) => {
    const text = texts[key];
    return [key, text === null ? null : globalSchema[key].kind.parse(text)] as const;
  });
  return Object.fromEntries(entries) as unknown as GlobalValues;
}

function toSettings(values: GlobalValues): Omit<Settings, 'destinations'> {
  const { dir, namespace, discover, concurrency, httpPort, logLevel, logFormat, keep } = values;
  return {
    dir,
    namespace,
    discover,
    timezone: values.timezone,
    concurrency,
    httpPort,
    logLevel,
    logFormat,
    keep,
    schedule: {
      patterns: values.schedule,
      timezone: values.timezone,
      catchUpMs: values.catchUp,
    },
    notify: toNotifySettings(values),
  };
}

/** Where the value in force of a global option came from. */
function origin(
  key: GlobalKey,
  { variables, file, zone }: Layers,
): { readonly option: string; readonly from: string } {
  const variable = variables.get(globalSchema[key].env);
  if (variable !== undefined) {
    const direct = variable.from === globalSchema[key].env;
    return { option: variable.from, from: direct ? 'environment' : variable.from };
  }
  if (file?.settings[key] !== undefined) {
    return { option: `${fileKeyOf(key)} in ${file.path}`, from: `file ${file.path}` };
  }
  const from = key === 'timezone' && zone !== null ? 'TZ' : 'default';
  return { option: globalSchema[key].env, from };
}

function inForce(key: GlobalKey, { texts, wrong }: Global, layers: Layers): OptionInForce {
  const { env, show = asIs }: GlobalOption<unknown> = globalSchema[key];
  const text = texts[key];
  const value = text === null ? null : wrong.has(key) && show !== asIs ? HIDDEN : show(text);
  return { name: env, value, from: origin(key, layers).from };
}

function asIs(text: string): string {
  return text;
}

/** All archives are encrypted in one way, and which one was meant cannot be told. */
function twoSchemes({ values }: Global, layers: Layers): readonly ConfigProblem[] {
  if (values.ageRecipients === null || values.gpgRecipientKeys === null) {
    return [];
  }
  const [age, gpg] = [origin('ageRecipients', layers), origin('gpgRecipientKeys', layers)];
  return [
    {
      source: null,
      option: gpg.option,
      message: `${gpg.option} and ${age.option} are both set, expected one of them`,
      hint: 'Remove one of them. Backups that are encrypted with the other one stay readable with its secret key.',
      severity: 'fatal',
    },
  ];
}

function readSources({ variables, file }: Layers): {
  readonly config: SourceConfig;
  readonly problems: readonly ConfigProblem[];
} {
  const { env } = globalSchema.sources;
  const declaring = variables.get(env);
  const declaredIn = declaring?.from ?? env;
  const declared = parseSources(declaring?.value ?? '', declaredIn);
  const byName = new Map<string, Partial<Record<SourceKey, Given>>>();
  for (const [variable, { value, from }] of variables) {
    const about = parseSourceVariable(variable);
    if (about !== null) {
      const options = byName.get(about.name) ?? {};
      options[about.key] = { value, option: from, from: `environment ${from}` };
      byName.set(about.name, options);
    }
  }
  return {
    config: {
      declared: declared.sources,
      declaredIn,
      variables: byName,
      entries: new Map(file === null ? [] : readEntries(file)),
    },
    problems: declared.problems,
  };
}

function readEntries(file: ConfigFile): readonly (readonly [string, GivenOptions])[] {
  return [...file.sources].map(([name, entry]) => {
    const given = Object.entries(entry).map(([key, value]) => [
      key,
      { value, option: `sources.${name}.${key} in ${file.path}`, from: `file ${file.path}` },
    ]);
    return [name, Object.fromEntries(given) as GivenOptions];
  });
}
