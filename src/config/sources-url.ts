import type { ConfigProblem } from '../core/discovery.ts';
import { isSourceName } from '../core/layout.ts';
import type { Engine } from '../core/target.ts';
import { engine, FormatError, volumeOrPath } from './formats.ts';
import { wrongValue } from './problems.ts';

/** A source as `BACKUPD_SOURCES` declares it. */
export interface DeclaredSource {
  readonly name: string;
  readonly engine: Engine;
  /** A container; for the engine `volume` a volume, or a path of the host. */
  readonly target: string;
  /** Null: all. */
  readonly databases: readonly string[] | null;
}

const EXPECTED =
  'name=engine://container[/database[,database]], name=volume://volume or name=volume:///host/path';
const SHAPE = /^([^=]*)=([a-z]+):\/\/([^/]*)(?:\/(.*))?$/;
const CONTAINER = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/**
 * Reads `name=engine://container[/database[,database]]`, `name=volume://volume` and `name=volume:///host/path`, several
 * separated by white space, parts percent-encoded. What is wrong is left out and told: where the source has a name it
 * concerns that source only.
 */
export function parseSources(
  text: string,
  option: string,
): { readonly sources: readonly DeclaredSource[]; readonly problems: readonly ConfigProblem[] } {
  const sources: DeclaredSource[] = [];
  const problems: ConfigProblem[] = [];
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    try {
      sources.push(parseSource(word));
    } catch (error) {
      if (!(error instanceof FormatError)) {
        throw error;
      }
      problems.push(describe(word, error.message, option));
    }
  }
  return { sources, problems };
}

/** The text without what stands before an `@`: nothing does that is right, and it may be a password. */
export function hideCredentials(text: string): string {
  return text
    .split(/(\s+)/)
    .map((word) => word.replace(/^([a-z0-9._-]+=)?.*@/, '$1[hidden]@'))
    .join('');
}

function parseSource(word: string): DeclaredSource {
  if (word.includes('@')) {
    throw new FormatError('users and passwords do not belong here');
  }
  const [, name, scheme, container, path] = SHAPE.exec(word) ?? [];
  if (name === undefined || scheme === undefined || container === undefined) {
    throw new FormatError();
  }
  if (!isSourceName(name)) {
    throw new FormatError(`${JSON.stringify(name)} is no name of a source`);
  }
  if (scheme === 'volume') {
    return { name, engine: scheme, target: parseVolume(decode(container), path), databases: null };
  }
  const kind = engine.parse(scheme);
  const host = decode(container);
  if (!CONTAINER.test(host)) {
    throw new FormatError(`${JSON.stringify(host)} can be no name of a container`);
  }
  return { name, engine: kind, target: host, databases: parseDatabases(path) };
}

function parseVolume(volume: string, path: string | undefined): string {
  if (volume === '' && path !== undefined) {
    return volumeOrPath.parse(`/${decode(path)}`);
  }
  if (!CONTAINER.test(volume)) {
    throw new FormatError(`${JSON.stringify(volume)} can be no name of a volume`);
  }
  if (path !== undefined && path !== '') {
    throw new FormatError('a volume is backed up whole, so nothing follows its name');
  }
  return volume;
}

function parseDatabases(path: string | undefined): readonly string[] | null {
  if (path === undefined || path === '') {
    return null;
  }
  const databases = path.split(',');
  if (databases.includes('')) {
    throw new FormatError('there is an empty name of a database in it');
  }
  if (/[/?#]/.test(path)) {
    throw new FormatError('"/", "?" and "#" in names of databases are percent-encoded');
  }
  return databases.map((part) => decode(part));
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw new FormatError('"%" begins a percent-encoded character, itself it is %25', {
      cause: error,
    });
  }
}

function describe(word: string, detail: string, option: string): ConfigProblem {
  const name = word.slice(0, Math.max(0, word.indexOf('=')));
  const source = isSourceName(name) ? name : null;
  return wrongValue({ expected: EXPECTED }, hideCredentials(word), { source, option, detail });
}
