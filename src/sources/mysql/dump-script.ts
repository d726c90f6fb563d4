import type { Flavour } from './connection.ts';

/** The parts of a dump, in the order in which they are loaded. */
export const SECTIONS = ['tables', 'objects', 'views'] as const;
export type Section = (typeof SECTIONS)[number];

const NO_OBJECTS = ['--skip-triggers', '--skip-routines', '--skip-events'];

/** The line that begins a section, or after the last one `complete`; the token is one that nothing in the database can know. */
function sectionLine(section: Section | 'complete', token: string): string {
  return `-- backupd: ${section} ${token}`;
}

/** What one dump is of. */
export interface DumpScript {
  readonly flavour: Flavour;
  /** `mysqldump` or `mariadb-dump`. */
  readonly tool: string;
  /** For every client: user, socket, character set. */
  readonly options: readonly string[];
  readonly token: string;
  readonly database: string;
  /** Whether events may be seen: else the tool would fail. */
  readonly events: boolean;
  /** In a section of their own: they may read each other, and tables that only the objects make work. */
  readonly views: readonly string[];
  /** Left out altogether. */
  readonly brokenViews: readonly string[];
}

/**
 * Three runs of the dump tool, one after the other in one stream: tables with their rows; triggers, routines and events;
 * views. Loaded whole it makes the database, since all that is added are comments.
 */
export function dumpArgv(script: DumpScript): readonly string[] {
  const { database } = script;
  const tables = ['--hex-blob', ...NO_OBJECTS, ...ignoredViews(script), '--', database];
  return runsArgv(script, [['tables', tables], ...definitionRuns(script)]);
}

/** The same without the tables. */
export function definitionsArgv(script: DumpScript): readonly string[] {
  return runsArgv(script, definitionRuns(script));
}

type Run = readonly [Section, readonly string[]];

function definitionRuns(script: DumpScript): readonly Run[] {
  const { database, views } = script;
  const noTables = ['--no-data', '--no-create-info'];
  const events = script.events ? ['--events'] : ['--skip-events'];
  const objects = ['--triggers', '--routines', ...events, ...ignoredViews(script)];
  return [
    ['objects', [...noTables, ...objects, '--', database]],
    ...(views.length === 0
      ? []
      : [['views', ['--no-data', ...NO_OBJECTS, '--', database, ...views]] as const]),
  ];
}

function ignoredViews({ database, views, brokenViews }: DumpScript): readonly string[] {
  return [...views, ...brokenViews].map((view) => `--ignore-table=${database}.${view}`);
}

function runsArgv(script: DumpScript, runs: readonly Run[]): readonly string[] {
  const commands = runs.flatMap(([section, args]) => [
    says(sectionLine(section, script.token)),
    [script.tool, ...script.options, ...common(script.flavour), ...args].map(quoted).join(' '),
  ]);
  return ['sh', '-c', [...commands, says(sectionLine('complete', script.token))].join(' && ')];
}

function common(flavour: Flavour): readonly string[] {
  const both = ['--single-transaction', '--quick', '--skip-add-locks', '--comments', '--dump-date'];
  return flavour === 'mysql'
    ? // What a server without binary log, or an account with few rights, refuses to load or to tell.
      [...both, '--set-gtid-purged=OFF', '--no-tablespaces']
    : both;
}

function says(line: string): string {
  return `printf '%s\\n' ${quoted(line)}`;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
