import { RETRIEVAL_TIERS, type RetrievalTier } from '../core/destination.ts';
import { parseDurationMs } from '../core/duration.ts';
import { COMMAND_NAMES, type CommandName } from './command-table.ts';
import { OPTIONS } from './options.ts';
import { didYouMean, operand, readOptions, usage, type Given } from './given.ts';

export interface BackupArguments {
  readonly name: 'backup';
  /** Empty: all. */
  readonly sources: readonly string[];
  readonly pin: boolean;
  readonly waitMs: number;
}

export interface RestoreArguments {
  readonly name: 'restore';
  /** Null: the only one. */
  readonly source: string | null;
  readonly at: string;
  /** Empty: all of the backup. */
  readonly databases: readonly string[];
  readonly as: string | null;
  readonly into: string | null;
  /** A destination; null: what is here. */
  readonly from: string | null;
  readonly tier: RetrievalTier;
  readonly stop: readonly string[];
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly waitMs: number;
}

/** Of `restore --undo` and `restore --drop-previous`. */
export interface UndoArguments<Name extends 'undo' | 'drop-previous'> {
  readonly name: Name;
  readonly source: string;
  /** Empty for `drop-previous`. */
  readonly stop: readonly string[];
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly waitMs: number;
}

export interface PruneArguments {
  readonly name: 'prune';
  readonly source: string | null;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly waitMs: number;
}

export interface UploadArguments {
  readonly name: 'upload';
  /** Null: all. */
  readonly destination: string | null;
  readonly takeOver: boolean;
  readonly waitMs: number;
}

interface Plain<Name extends string> {
  readonly name: Name;
}

interface PinArguments<Name extends 'pin' | 'unpin'> {
  readonly name: Name;
  readonly id: string;
  readonly waitMs: number;
}

/** What was asked for, checked as far as that goes without a look at anything. */
export type Command =
  | Plain<'daemon'>
  | BackupArguments
  | RestoreArguments
  | UndoArguments<'undo'>
  | UndoArguments<'drop-previous'>
  | { readonly name: 'list'; readonly source: string | null; readonly from: string | null }
  | { readonly name: 'show'; readonly id: string }
  | { readonly name: 'cat'; readonly id: string; readonly file: string }
  | { readonly name: 'verify'; readonly subject: string | null; readonly from: string | null }
  | PruneArguments
  | UploadArguments
  | PinArguments<'pin'>
  | PinArguments<'unpin'>
  | { readonly name: 'forget'; readonly source: string }
  /** Null: all that are drilled. */
  | { readonly name: 'drill'; readonly source: string | null; readonly waitMs: number }
  | Plain<'status'>
  | { readonly name: 'check'; readonly notify: boolean; readonly silenceMs: number }
  | Plain<'config'>
  | Plain<'version'>
  /** Null: of backupd as a whole. */
  | { readonly name: 'help'; readonly topic: CommandName | null };

/** The arguments of one command. */
export type CommandOf<Name extends Command['name']> = Extract<Command, { readonly name: Name }>;

/**
 * Reads the command line after the program's name, which may be repeated (`docker run IMAGE backupd restore db`).
 * @throws BackupdError `usage` for what is unknown, missing or does not fit together, with what was probably meant
 */
export function parseCommand(argv: readonly string[]): Command {
  const words = argv[0] === 'backupd' ? argv.slice(1) : argv;
  const at = words.findIndex((word) => !word.startsWith('-'));
  if (at === -1) {
    return withoutCommand(words);
  }
  const leading = words.slice(0, at);
  const [typed = '', ...rest] = words.slice(at);
  checkLeading(leading, true);
  if (leading.includes('--version')) {
    return { name: 'version' };
  }
  if (typed === 'help') {
    return { name: 'help', topic: rest[0] === undefined ? null : commandName(rest[0]) };
  }
  const name = commandName(typed);
  const given = readOptions(name, rest);
  return given.has('help') || leading.some((word) => isHelp(word))
    ? { name: 'help', topic: name }
    : BUILDERS[name](given);
}

function withoutCommand(words: readonly string[]): Command {
  checkLeading(words, false);
  if (words.includes('--version')) {
    return { name: 'version' };
  }
  return words.some((word) => isHelp(word)) ? { name: 'help', topic: null } : { name: 'daemon' };
}

/** Whether the command line asks for JSON; also of one that cannot be understood otherwise. */
export function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).includes('--json');
}

function isHelp(word: string): boolean {
  return word === '--help' || word === '-h';
}

/** Before the command only what has no value may stand: else nobody could tell where the command is. */
function checkLeading(words: readonly string[], hasCommand: boolean): void {
  const known = ['--json', '--help', '-h', '--version'];
  const unknown = words.find((word) => !known.includes(word));
  if (unknown === undefined) {
    return;
  }
  const option = unknown.replace(/^--/, '').replace(/=.*$/, '');
  if (hasCommand && Object.hasOwn(OPTIONS, option)) {
    throw usage(
      `${unknown} stands before the command`,
      'Write the command first, then its options.',
    );
  }
  throw usage(
    `unknown option "${unknown}"`,
    `${didYouMean(unknown, known)}Run "backupd --help" to see what there is.`,
  );
}

function commandName(typed: string): CommandName {
  const name = COMMAND_NAMES.find((known) => known === typed);
  if (name === undefined) {
    throw usage(
      `unknown command "${typed}"`,
      `${didYouMean(typed, COMMAND_NAMES)}Run "backupd --help" to see what there is.`,
    );
  }
  return name;
}

const BUILDERS: Readonly<Record<CommandName, (given: Given) => Command>> = {
  daemon: () => ({ name: 'daemon' }),
  backup: (given) => ({
    name: 'backup',
    sources: [...new Set(given.operands)],
    pin: given.has('pin'),
    waitMs: waitMs(given),
  }),
  restore: buildRestore,
  list: (given) => ({ name: 'list', source: given.operands[0] ?? null, from: given.value('from') }),
  show: (given) => ({ name: 'show', id: operand(given, 0) }),
  cat: (given) => ({ name: 'cat', id: operand(given, 0), file: operand(given, 1) }),
  verify: (given) => ({
    name: 'verify',
    subject: given.operands[0] ?? null,
    from: given.value('from'),
  }),
  prune: (given) => ({
    name: 'prune',
    source: given.operands[0] ?? null,
    dryRun: given.has('dry-run'),
    yes: given.has('yes'),
    waitMs: waitMs(given),
  }),
  upload: (given) => ({
    name: 'upload',
    destination: given.operands[0] ?? null,
    takeOver: given.has('take-over'),
    waitMs: waitMs(given),
  }),
  pin: (given) => ({ name: 'pin', id: operand(given, 0), waitMs: waitMs(given) }),
  unpin: (given) => ({ name: 'unpin', id: operand(given, 0), waitMs: waitMs(given) }),
  forget: (given) => ({ name: 'forget', source: operand(given, 0) }),
  drill: (given) => ({ name: 'drill', source: given.operands[0] ?? null, waitMs: waitMs(given) }),
  status: () => ({ name: 'status' }),
  check: (given) => ({
    name: 'check',
    notify: given.has('notify'),
    silenceMs: duration(given, 'silence'),
  }),
  config: () => ({ name: 'config' }),
};

function buildRestore(given: Given): Command {
  const source = given.operands[0] ?? null;
  const common = {
    stop: [...new Set(given.values('stop'))],
    dryRun: given.has('dry-run'),
    yes: given.has('yes'),
    waitMs: waitMs(given),
  };
  const back = (['undo', 'drop-previous'] as const).filter((name) => given.has(name));
  const [name] = back;
  if (name === undefined) {
    const databases = [...new Set(given.values('database'))];
    if (given.has('as') && databases.length > 1) {
      throw usage(
        `--as gives one name, and ${databases.length} databases are named`,
        'Restore them one after the other, each with its own --as.',
      );
    }
    return {
      name: 'restore',
      source,
      at: given.value('at') ?? 'latest',
      databases,
      as: given.value('as'),
      into: given.value('into'),
      from: given.value('from'),
      tier: tier(given),
      ...common,
    };
  }
  const alone = ['undo', 'drop-previous', 'at', 'database', 'as', 'into', 'from', 'tier'] as const;
  // An undo swaps as a restore does; to drop something disturbs nobody.
  const beside = [...alone, ...(name === 'undo' ? [] : (['stop'] as const))].filter(
    (option) => option !== name && given.has(option),
  );
  if (beside.length > 0) {
    throw usage(
      `--${name} does not go with ${beside.map((option) => `--${option}`).join(', ')}`,
      `Write "backupd restore SOURCE --${name}".`,
    );
  }
  if (source === null) {
    throw usage(
      `--${name} needs the name of a source`,
      `Write "backupd restore SOURCE --${name}"; "backupd status" names the sources.`,
    );
  }
  return name === 'undo' ? { name, source, ...common } : { name, source, ...common };
}

function tier(given: Given): RetrievalTier {
  const text = given.value('tier') ?? 'standard';
  const known = RETRIEVAL_TIERS.find((name) => name === text.toLowerCase());
  if (known === undefined) {
    throw usage(`--tier "${text}" is none`, `Write one of ${RETRIEVAL_TIERS.join(', ')}.`);
  }
  return known;
}

function waitMs(given: Given): number {
  return duration(given, 'wait');
}

/** In milliseconds; 0 where it is not given. */
function duration(given: Given, name: 'wait' | 'silence'): number {
  const text = given.value(name);
  const ms = text === null ? 0 : parseDurationMs(text);
  if (ms === null) {
    throw usage(`--${name} "${text}" is no duration`, 'Write one such as 30s, 10m or 1h30m.');
  }
  return ms;
}
