import { FAILURES } from '../core/errors.ts';
import { COMMANDS, COMMAND_NAMES, type CommandName, type CommandSpec } from './command-table.ts';
import { COMMON_OPTIONS, OPTIONS, type OptionName, type OptionSpec } from './options.ts';

/** The help text of a command, or of backupd as a whole. */
export function helpText(topic: CommandName | null): string {
  return topic === null ? overview() : commandHelp(topic);
}

function overview(): string {
  return [
    'backupd: backups and restores for the databases of a docker-compose stack.',
    '',
    'Usage: backupd [COMMAND] [OPTIONS]',
    '',
    'Commands:',
    ...columns(COMMAND_NAMES.map((name) => [name, COMMANDS[name].about])),
    '',
    'Options of every command:',
    ...optionLines(COMMON_OPTIONS),
    '',
    'Examples:',
    ...columns([
      ['docker exec backupd backup', 'back up everything now'],
      ['docker exec -it backupd restore db', 'restore the latest backup of db'],
      ['docker exec backupd backupd status', 'how each source stands'],
      ['backupd restore --help', 'more about one command'],
      ['backupd --version', 'the version'],
    ]),
    '',
  ].join('\n');
}

function commandHelp(name: CommandName): string {
  const spec: CommandSpec = COMMANDS[name];
  return [
    spec.about,
    ...(spec.notes ?? []),
    '',
    `Usage: ${['backupd', name, ...spec.operands, ...spec.options.map((option) => optionUsage(option))].join(' ')}`,
    '',
    'Options:',
    ...optionLines([...spec.options, ...COMMON_OPTIONS]),
    '',
    'Examples:',
    ...columns(spec.examples),
    '',
    'Exit codes:',
    ...columns([
      ['0', 'done'],
      ...spec.failures.map((code) => [String(FAILURES[code].exitCode), code] as const),
    ]),
    '',
  ].join('\n');
}

function optionUsage(name: OptionName): string {
  const { value, multiple }: OptionSpec = OPTIONS[name];
  return `[--${name}${value === undefined ? '' : ` ${value}`}]${multiple === true ? '...' : ''}`;
}

function optionLines(names: readonly OptionName[]): readonly string[] {
  return columns(
    names.map((name) => {
      const { value, about }: OptionSpec = OPTIONS[name];
      return [`--${name}${value === undefined ? '' : ` ${value}`}`, about];
    }),
  );
}

function columns(rows: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
