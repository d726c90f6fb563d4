import { parseArgs } from 'node:util';
import { BackupdError } from '../core/errors.ts';
import { suggest } from '../core/suggest.ts';
import { COMMANDS, type CommandName } from './command-table.ts';
import { COMMON_OPTIONS, OPTIONS, type OptionName, type OptionSpec } from './options.ts';

/** The options and operands of a command, each option one that the command takes. */
export interface Given {
  readonly command: CommandName;
  readonly operands: readonly string[];
  has(name: OptionName): boolean;
  /** The last value; null where it is not there. */
  value(name: OptionName): string | null;
  values(name: OptionName): readonly string[];
}

/**
 * Reads the words after a command.
 * @throws BackupdError `usage`
 */
export function readOptions(command: CommandName, words: readonly string[]): Given {
  const taken: readonly OptionName[] = [...COMMANDS[command].options, ...COMMON_OPTIONS];
  const { tokens } = parseArgs({
    args: [...words],
    options: {
      ...Object.fromEntries(taken.map((name) => [name, { type: OPTIONS[name].type }])),
      help: { type: 'boolean', short: 'h' },
    },
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const values = new Map<OptionName, string[]>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') {
      operands.push(token.value);
    } else if (token.kind === 'option') {
      const name = takenOption(token, command, taken);
      values.set(name, [...(values.get(name) ?? []), optionValue(token, name)]);
    }
  }
  if (!values.has('help')) {
    checkOperands(command, operands);
  }
  return {
    command,
    operands,
    has: (name) => values.has(name),
    value: (name) => values.get(name)?.at(-1) ?? null,
    values: (name) => values.get(name) ?? [],
  };
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function takenOption(
  token: OptionToken,
  command: CommandName,
  taken: readonly OptionName[],
): OptionName {
  const name = taken.find((option) => option === token.name);
  if (name === undefined) {
    const known = taken.map((option) => `--${option}`);
    throw usage(
      `unknown option "${token.rawName}" for "${command}"`,
      `${didYouMean(token.rawName, known)}Run "backupd ${command} --help" to see what it takes.`,
    );
  }
  return name;
}

function optionValue(token: OptionToken, name: OptionName): string {
  const { type }: OptionSpec = OPTIONS[name];
  if (type === 'boolean') {
    if (token.value !== undefined) {
      throw usage(`--${name} takes no value, and "${token.value}" was given`, `Write --${name}.`);
    }
    return '';
  }
  const value = token.value ?? '';
  if (value === '' || (token.inlineValue !== true && value.startsWith('-'))) {
    throw usage(
      `--${name} needs a value`,
      `Write --${name} VALUE, or --${name}=VALUE where the value begins with a dash.`,
    );
  }
  return value;
}

function checkOperands(command: CommandName, operands: readonly string[]): void {
  const expected: readonly string[] = COMMANDS[command].operands;
  const most = expected.some((operand) => operand.includes('...')) ? Infinity : expected.length;
  const empty = operands.indexOf('');
  if (operands.length > most || empty !== -1) {
    throw usage(
      empty === -1
        ? `"${command}" takes ${expected.length === 0 ? 'nothing' : expected.join(' ')}, and "${operands[most] ?? ''}" is too much`
        : `argument ${empty + 1} of "${command}" is empty`,
      `Run "backupd ${command} --help" to see how it is used.`,
    );
  }
}

/** An operand that the command cannot do without. @throws BackupdError `usage` */
export function operand(given: Given, index: number): string {
  const value = given.operands[index];
  if (value === undefined) {
    const { operands }: { readonly operands: readonly string[] } = COMMANDS[given.command];
    throw usage(
      `"${given.command}" needs ${operands.slice(index).join(' and ')}`,
      `Write "backupd ${[given.command, ...operands].join(' ')}"; "backupd list" shows sources and ids.`,
    );
  }
  return value;
}

/** The beginning of a hint; empty where nothing is near. */
export function didYouMean(typed: string, known: readonly string[]): string {
  const meant = suggest(typed, known);
  return meant === null ? '' : `Did you mean "${meant}"? `;
}

export function usage(message: string, hint: string): BackupdError {
  return new BackupdError('usage', message, { hint });
}
