import { parseDocument } from 'yaml';
import type { ConfigProblem } from '../core/discovery.ts';
import { toFailure } from '../core/errors.ts';
import { isSourceName } from '../core/layout.ts';
import { HIDDEN } from '../core/secret.ts';
import { suggest } from '../core/suggest.ts';
import { DESTINATION_KEYS, type DestinationKey } from './destination-schema.ts';
import type { ReadText } from './environment.ts';
import { FILE_KEYS, NOTIFY } from './file-keys.ts';
import { nameList, plainName } from './formats.ts';
import { unknownOption, wrongValue, type Origin } from './problems.ts';
import type { GlobalOption } from './option.ts';
import { globalSchema, type GlobalKey } from './schema.ts';
import { sourceKeys, sourceSchema, type SourceKey } from './source-schema.ts';

/** The entry of one source, as written. */
type SourceEntry = Readonly<Partial<Record<SourceKey, string | readonly string[]>>>;
/** The entry of one destination, as written. */
type DestinationEntry = Readonly<Partial<Record<DestinationKey, string>>>;

/** What a configuration file says, as written; what means nothing is left out and told. */
export interface ConfigFile {
  readonly path: string;
  readonly settings: Readonly<Partial<Record<GlobalKey, string>>>;
  readonly sources: ReadonlyMap<string, SourceEntry>;
  readonly destinations: ReadonlyMap<string, DestinationEntry>;
  readonly problems: readonly ConfigProblem[];
}

type Mapping = Readonly<Record<string, unknown>>;

const SECTIONS: readonly string[] = ['sources', 'destinations', NOTIFY];
/** What there is: keys at the top of the file, and those of alarms, `notify.slackUrl`. */
const KNOWN: readonly string[] = [...FILE_KEYS.keys(), ...SECTIONS];

/** A mapping of names to entries, each with options. */
interface Section<Key extends string> {
  readonly title: 'sources' | 'destinations';
  /** What an entry is about. */
  readonly of: string;
  readonly keys: readonly Key[];
  /** Options whose value may be a list. */
  readonly lists: readonly Key[];
  /** Whom a wrong entry concerns; null: everything. */
  concerns(name: string): string | null;
}

const SOURCES: Section<SourceKey> = {
  title: 'sources',
  of: 'source',
  keys: sourceKeys('file'),
  lists: sourceKeys('file').filter((key) => sourceSchema[key].kind === nameList),
  concerns: (name) => name,
};
const DESTINATIONS: Section<DestinationKey> = {
  title: 'destinations',
  of: 'destination',
  keys: DESTINATION_KEYS,
  lists: [],
  concerns: () => null,
};

/** Reads a configuration file, YAML or JSON: the option keys in camelCase, and `sources` by their names. */
export async function readConfigFile(path: string, readText: ReadText): Promise<ConfigFile> {
  let text: string;
  try {
    text = await readText(path);
  } catch (error) {
    return withProblem(path, {
      source: null,
      option: 'BACKUPD_CONFIG',
      message: `the file "${path}" cannot be read: ${toFailure(error).message}`,
      hint: 'Mount it into the backupd container, readable for its user, or remove BACKUPD_CONFIG.',
      severity: 'fatal',
    });
  }
  return parseConfigFile(text, path);
}

/** What the text of a configuration file says. */
export function parseConfigFile(text: string, path: string): ConfigFile {
  // Without types of its own YAML leaves every value as it was typed: 0010 and off are texts.
  const document = parseDocument(text, { schema: 'failsafe', prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) {
    const [line] = error.message.split('\n');
    return withProblem(path, unreadable(path, `is neither YAML nor JSON: ${line ?? ''}`));
  }
  let value: unknown;
  try {
    value = document.contents === null ? {} : document.toJS();
  } catch (failure) {
    // An alias that leads nowhere, or too many of them.
    return withProblem(path, unreadable(path, `cannot be read: ${toFailure(failure).message}`));
  }
  if (!isMapping(value)) {
    return withProblem(path, unreadable(path, 'is not a mapping of options'));
  }
  return readMapping(value, path);
}

function withProblem(path: string, problem: ConfigProblem): ConfigFile {
  return { path, settings: {}, sources: new Map(), destinations: new Map(), problems: [problem] };
}

function unreadable(path: string, what: string): ConfigProblem {
  return {
    source: null,
    option: 'BACKUPD_CONFIG',
    message: `the file "${path}" ${what}`,
    hint: 'See docs/configuration.md for an example.',
    severity: 'fatal',
  };
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readMapping(mapping: Mapping, path: string): ConfigFile {
  const settings: Partial<Record<GlobalKey, string>> = {};
  const problems: ConfigProblem[] = [];
  for (const [key, value] of flatten(mapping)) {
    const origin = { source: null, option: `${key} in ${path}` };
    const setting = FILE_KEYS.get(key);
    if (setting !== undefined && typeof value === 'string') {
      settings[setting] = value;
    } else if (setting !== undefined) {
      const { kind, show }: GlobalOption<unknown> = globalSchema[setting];
      const shown = show === undefined ? value : HIDDEN;
      problems.push(wrongShape(shown, `a text: ${kind.expected}`, origin));
    } else if (key === NOTIFY) {
      problems.push(wrongShape(HIDDEN, 'a mapping of options of alarms', origin));
    } else if (!SECTIONS.includes(key)) {
      problems.push(unknownOption(origin, `"${key}" is no option`, suggest(key, KNOWN)));
    }
  }
  const sources = readSection(mapping['sources'], path, SOURCES);
  const destinations = readSection(mapping['destinations'], path, DESTINATIONS);
  return {
    path,
    settings,
    sources: sources.entries,
    // Those have no lists.
    destinations: destinations.entries as ReadonlyMap<string, DestinationEntry>,
    problems: [...problems, ...sources.problems, ...destinations.problems],
  };
}

/** With the keys under `notify` as `notify.key`. An empty section is an empty text. */
function flatten(mapping: Mapping): readonly (readonly [string, unknown])[] {
  return Object.entries(mapping).flatMap(([key, value]) => {
    if (key !== NOTIFY || !(isMapping(value) || value === '')) {
      return [[key, value] as const];
    }
    return Object.entries(value).map(([inner, each]) => [`${NOTIFY}.${inner}`, each] as const);
  });
}

type Entry<Key extends string> = Readonly<Partial<Record<Key, string | readonly string[]>>>;

function readSection<Key extends string>(
  value: unknown,
  path: string,
  section: Section<Key>,
): {
  readonly entries: ReadonlyMap<string, Entry<Key>>;
  readonly problems: readonly ConfigProblem[];
} {
  const entries = new Map<string, Entry<Key>>();
  const problems: ConfigProblem[] = [];
  // An empty `sources:` is an empty text.
  if (value === undefined || value === '') {
    return { entries, problems };
  }
  if (!isMapping(value)) {
    const origin = { source: null, option: `${section.title} in ${path}` };
    const expected = `a mapping of names to options of ${section.title}`;
    return { entries, problems: [wrongShape(value, expected, origin)] };
  }
  for (const [name, entry] of Object.entries(value)) {
    const option = `${section.title}.${name} in ${path}`;
    if (!isSourceName(name)) {
      problems.push(wrongValue(plainName, name, { source: null, option, detail: '' }));
    } else if (isMapping(entry)) {
      entries.set(name, readEntry(entry, { name, path, problems, section }));
    } else if (entry !== '') {
      const origin = { source: section.concerns(name), option };
      problems.push(wrongShape(entry, 'a mapping of options', origin));
    }
  }
  return { entries, problems };
}

function readEntry<Key extends string>(
  entry: Mapping,
  within: {
    readonly name: string;
    readonly path: string;
    readonly problems: ConfigProblem[];
    readonly section: Section<Key>;
  },
): Entry<Key> {
  const { name, path, problems, section } = within;
  const read: Partial<Record<Key, string | readonly string[]>> = {};
  for (const [key, value] of Object.entries(entry)) {
    const origin = {
      source: section.concerns(name),
      option: `${section.title}.${name}.${key} in ${path}`,
    };
    const found = section.keys.find((candidate) => candidate === key);
    if (found === undefined) {
      const message = `"${key}" is no option of a ${section.of}`;
      problems.push(unknownOption(origin, message, suggest(key, section.keys)));
    } else if (typeof value === 'string' || (section.lists.includes(found) && isTextList(value))) {
      read[found] = value;
    } else {
      const expected = section.lists.includes(found) ? 'a text or a list of texts' : 'a text';
      problems.push(wrongShape(value, expected, origin));
    }
  }
  return read;
}

function isTextList(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((item) => typeof item === 'string' && item !== '')
  );
}

function wrongShape(value: unknown, expected: string, origin: Origin): ConfigProblem {
  return {
    ...origin,
    message: `${JSON.stringify(value)} is not valid, expected ${expected}`,
    hint: null,
    severity: origin.source === null ? 'fatal' : 'source',
  };
}
