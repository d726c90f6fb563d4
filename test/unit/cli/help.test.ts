import { describe, expect, it } from 'vitest';
import { parseCommand } from '../../../src/cli/arguments.ts';
import { COMMANDS, COMMAND_NAMES, type CommandSpec } from '../../../src/cli/command-table.ts';
import { OPTIONS } from '../../../src/cli/options.ts';
import { helpText } from '../../../src/cli/help.ts';

describe('helpText', () => {
  it('names every command in the overview', () => {
    for (const name of COMMAND_NAMES) {
      expect(helpText(null)).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
    }
  });

  it.each(COMMAND_NAMES)('of %s has usage, every option, examples and exit codes', (name) => {
    const spec: CommandSpec = COMMANDS[name];
    const text = helpText(name);
    expect(text).toContain(`Usage: backupd ${[name, ...spec.operands].join(' ')}`);
    for (const option of [...spec.options, 'json', 'help'] as const) {
      const line = text.split('\n').find((one) => one.startsWith(`  --${option} `));
      expect(line).toContain(OPTIONS[option].about);
    }
    expect(spec.examples.length).toBeGreaterThanOrEqual(2);
    expect(text).toMatch(/^Exit codes:\n {2}0 +done$/m);
    expect(text).not.toContain('undefined');
  });

  it.each(COMMAND_NAMES)('of %s has examples that are understood', (name) => {
    for (const [example] of COMMANDS[name].examples) {
      const [program, ...argv] = example.replace(/ > .*$/, '').split(' ');
      expect(program).toBe('backupd');
      expect(() => parseCommand(argv)).not.toThrow();
    }
  });
});
