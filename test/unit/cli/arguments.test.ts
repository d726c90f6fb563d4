import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCommand, wantsJson } from '../../../src/cli/arguments.ts';
import { COMMANDS, COMMAND_NAMES } from '../../../src/cli/command-table.ts';
import { OPTIONS } from '../../../src/cli/options.ts';
import { BackupdError } from '../../../src/core/errors.ts';

const RESTORE = {
  name: 'restore',
  source: null,
  at: 'latest',
  databases: [],
  as: null,
  into: null,
  stop: [],
  from: null,
  tier: 'standard',
  dryRun: false,
  yes: false,
  waitMs: 0,
};
const PRUNE = { name: 'prune', source: null, dryRun: false, yes: false, waitMs: 0 };
const BACK = { source: 'db', stop: [], dryRun: false, yes: false, waitMs: 0 };

function words(line: string): readonly string[] {
  return line === '' ? [] : line.split(' ');
}

function refusal(argv: readonly string[]): { readonly code: string; readonly text: string } {
  try {
    parseCommand(argv);
  } catch (error) {
    if (error instanceof BackupdError) {
      return { code: error.code, text: `${error.message} | ${error.hint ?? ''}` };
    }
    throw error;
  }
  return { code: 'none', text: '' };
}

describe('parseCommand', () => {
  it.each([
    ['', { name: 'daemon' }],
    ['daemon', { name: 'daemon' }],
    ['--json', { name: 'daemon' }],
    ['backupd', { name: 'daemon' }],
    ['--version', { name: 'version' }],
    ['backupd --version --json', { name: 'version' }],
    ['--help', { name: 'help', topic: null }],
    ['-h', { name: 'help', topic: null }],
    ['help', { name: 'help', topic: null }],
    ['help restore', { name: 'help', topic: 'restore' }],
    ['restore --help', { name: 'help', topic: 'restore' }],
    ['restore a b c -h', { name: 'help', topic: 'restore' }],
    ['--help show', { name: 'help', topic: 'show' }],
    ['backup', { name: 'backup', sources: [], pin: false, waitMs: 0 }],
    [
      'backup db shop db --pin --wait 1h30m',
      { name: 'backup', sources: ['db', 'shop'], pin: true, waitMs: 5_400_000 },
    ],
    ['upload', { name: 'upload', destination: null, takeOver: false, waitMs: 0 }],
    [
      'upload s3 --take-over --wait 10m',
      { name: 'upload', destination: 's3', takeOver: true, waitMs: 600_000 },
    ],
    ['backupd restore db', { ...RESTORE, source: 'db' }],
    ['restore', RESTORE],
    ['--json restore --dry-run', { ...RESTORE, dryRun: true }],
    [
      'restore db --at 2026-11-22T02:00 --database a --database=b --into other --yes --wait 30s --json',
      {
        ...RESTORE,
        source: 'db',
        at: '2026-11-22T02:00',
        databases: ['a', 'b'],
        into: 'other',
        yes: true,
        waitMs: 30_000,
      },
    ],
    [
      'restore --database shop --as=-new db',
      { ...RESTORE, source: 'db', databases: ['shop'], as: '-new' },
    ],
    ['restore db --undo', { ...BACK, name: 'undo' }],
    ['restore --undo db --wait 1m', { ...BACK, name: 'undo', waitMs: 60_000 }],
    ['restore db --stop app --stop=b', { ...RESTORE, source: 'db', stop: ['app', 'b'] }],
    ['restore db --undo --stop app', { ...BACK, name: 'undo', stop: ['app'] }],
    ['restore db --drop-previous --yes', { ...BACK, name: 'drop-previous', yes: true }],
    ['list db --from=s3', { name: 'list', source: 'db', from: 's3' }],
    ['verify --from nas', { name: 'verify', subject: null, from: 'nas' }],
    ['restore --from s3 --tier BULK', { ...RESTORE, from: 's3', tier: 'bulk' }],
    ['list', { name: 'list', source: null, from: null }],
    ['list db --json', { name: 'list', source: 'db', from: null }],
    ['show 2026', { name: 'show', id: '2026' }],
    ['cat 2026 -- -odd', { name: 'cat', id: '2026', file: '-odd' }],
    ['verify', { name: 'verify', subject: null, from: null }],
    ['verify db', { name: 'verify', subject: 'db', from: null }],
    ['prune --dry-run', { ...PRUNE, dryRun: true }],
    ['prune db --yes', { ...PRUNE, source: 'db', yes: true }],
    ['prune db --wait 90s', { ...PRUNE, source: 'db', waitMs: 90_000 }],
    ['pin 2026', { name: 'pin', id: '2026', waitMs: 0 }],
    ['unpin 2026', { name: 'unpin', id: '2026', waitMs: 0 }],
    ['forget old', { name: 'forget', source: 'old' }],
    ['drill', { name: 'drill', source: null, waitMs: 0 }],
    ['drill db --wait 10m', { name: 'drill', source: 'db', waitMs: 600_000 }],
    ['status', { name: 'status' }],
    ['check --json', { name: 'check', notify: false, silenceMs: 0 }],
    ['check --silence 11m', { name: 'check', notify: false, silenceMs: 660_000 }],
    ['check --notify', { name: 'check', notify: true, silenceMs: 0 }],
    ['config', { name: 'config' }],
  ])('reads "%s"', (line, command) => {
    expect(parseCommand(words(line))).toEqual(command);
  });

  it.each([
    ['restroe db', 'unknown command "restroe"', 'Did you mean "restore"?'],
    ['dril', 'unknown command "dril"', 'Did you mean "drill"?'],
    ['help bakcup', 'unknown command "bakcup"', 'Did you mean "backup"?'],
    ['backup --pni', 'unknown option "--pni" for "backup"', 'Did you mean "--pin"?'],
    ['restore db --dry-rum', 'unknown option "--dry-rum" for "restore"', '"--dry-run"'],
    ['show 1 --from s3', 'unknown option "--from" for "show"', 'backupd show --help'],
    ['restore db --from', '--from needs a value', 'Write --from VALUE'],
    ['restore db --tier fast', '--tier "fast" is none', 'expedited, standard, bulk'],
    ['restore db --undo --from s3', '--undo does not go with --from', 'restore SOURCE --undo'],
    ['restore db --drop-previous --stop app', '--drop-previous does not go with --stop', ''],
    ['backup -x', 'unknown option "-x"', 'backupd backup --help'],
    ['list --yes', 'unknown option "--yes" for "list"', ''],
    ['--jsno list', 'unknown option "--jsno"', 'Did you mean "--json"?'],
    ['--wait list', '--wait stands before the command', ''],
    ['show', '"show" needs ID', 'backupd show ID'],
    ['cat 2026', '"cat" needs FILE', 'backupd cat ID FILE'],
    ['cat', '"cat" needs ID and FILE', ''],
    ['forget', '"forget" needs SOURCE', ''],
    ['show a b', '"b" is too much', ''],
    ['status db', '"status" takes nothing', ''],
    ['restore a b', '"b" is too much', ''],
    ['backup --wait', '--wait needs a value', ''],
    ['backup --wait --pin', '--wait needs a value', ''],
    ['backup --wait=', '--wait needs a value', ''],
    ['backup --wait soon', '--wait "soon" is no duration', '10m'],
    ['backup --pin=yes', '--pin takes no value', ''],
    ['restore --undo', '--undo needs the name of a source', ''],
    ['restore --drop-previous', '--drop-previous needs the name of a source', ''],
    ['restore db --undo --drop-previous', '--undo does not go with --drop-previous', ''],
    ['restore db --undo --at x --into y', '--undo does not go with --at, --into', ''],
    ['restore db --as x --database a --database b', '--as gives one name', ''],
  ])('refuses "%s"', (line, message, hint) => {
    const { code, text } = refusal(words(line));
    expect(code).toBe('usage');
    expect(text).toContain(message);
    expect(text).toContain(hint);
  });

  it('refuses an empty argument, which a script with an unset variable passes', () => {
    expect(refusal(['restore', '']).text).toContain('argument 1 of "restore" is empty');
    expect(refusal(['backup', 'db', '']).text).toContain('argument 2 of "backup" is empty');
  });

  it('takes --json anywhere, and after any command', () => {
    for (const name of COMMAND_NAMES) {
      const operands = COMMANDS[name].operands.filter((operand) => !operand.startsWith('['));
      const plain = parseCommand([name, ...operands]);
      for (const argv of [
        ['--json', name, ...operands],
        [name, '--json', ...operands],
        [name, ...operands, '--json'],
      ]) {
        expect(parseCommand(argv)).toEqual(plain);
        expect(wantsJson(argv)).toBe(true);
      }
      expect(wantsJson([name, ...operands])).toBe(false);
    }
    expect(wantsJson(['cat', 'id', '--', '--json'])).toBe(false);
  });

  it('either understands a command line or refuses it as usage', () => {
    const word = fc.oneof(
      fc.constantFrom(...COMMAND_NAMES, ...Object.keys(OPTIONS).map((name) => `--${name}`), '--'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
        expect(['none', 'usage']).toContain(refusal(argv).code);
      }),
    );
  });
});
