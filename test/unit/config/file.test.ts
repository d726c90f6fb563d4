import { describe, expect, it } from 'vitest';
import { parseConfigFile, readConfigFile } from '../../../src/config/file.ts';
import { textFiles } from './text-files.ts';
import { containing } from './matchers.ts';

function parse(text: string): ReturnType<typeof parseConfigFile> {
  return parseConfigFile(text, '/c.yml');
}

describe('parseConfigFile', () => {
  it('reads options and sources from YAML, as they are typed', () => {
    const file = parse(`
keep: daily=7
httpPort: 9321
schedule: off
sources:
  orders:
    container: orders-db
    enable: true
    databases: [shop, 0010, "a,b"]
    exclude: x,y
  wiki:
`);
    expect(file.problems).toEqual([]);
    expect(file.settings).toEqual({ keep: 'daily=7', httpPort: '9321', schedule: 'off' });
    expect([...file.sources]).toEqual([
      [
        'orders',
        {
          container: 'orders-db',
          enable: 'true',
          databases: ['shop', '0010', 'a,b'],
          exclude: 'x,y',
        },
      ],
    ]);
  });

  it('reads JSON', () => {
    const file = parse('{"concurrency": 2, "sources": {"db": {"maxAge": "26h"}}}');
    expect(file.problems).toEqual([]);
    expect(file.settings).toEqual({ concurrency: '2' });
    expect(file.sources.get('db')).toEqual({ maxAge: '26h' });
  });

  it.each(['', '# nothing yet\n', '{}', 'sources:\n', 'destinations:\n'])(
    'reads a file without options: %j',
    (text) => {
      expect(parse(text)).toEqual({
        path: '/c.yml',
        settings: {},
        sources: new Map(),
        destinations: new Map(),
        problems: [],
      });
    },
  );

  it.each([
    ['keep: "daily=7', 'is neither YAML nor JSON'],
    ['keep: all\nkeep: daily=7', 'Map keys must be unique at line 2'],
    ['- keep', 'is not a mapping of options'],
    ['keep', 'is not a mapping of options'],
    ['{"keep": "all"', 'is neither YAML nor JSON'],
    ['a: 1\n---\nb: 2', 'is neither YAML nor JSON'],
    ['keep: *nowhere', 'cannot be read: Unresolved alias'],
  ])('refuses what is no configuration: %j', (text, message) => {
    expect(parse(text).problems).toEqual([
      expect.objectContaining({
        option: 'BACKUPD_CONFIG',
        message: containing(message),
        severity: 'fatal',
      }),
    ]);
  });

  it.each([
    ['shedule: "@daily"', 'shedule in /c.yml', null, 'Perhaps schedule was meant.'],
    ['max_age: 26h', 'max_age in /c.yml', null, 'Perhaps maxAge was meant.'],
    ['BACKUPD_KEEP: all', 'BACKUPD_KEEP in /c.yml', null, 'See docs/configuration.md'],
    ['config: /x.yml', 'config in /c.yml', null, 'See docs/configuration.md'],
    ['sources: {db: {databses: x}}', 'sources.db.databses in /c.yml', 'db', 'databases was meant'],
    ['sources: {db: {name: x}}', 'sources.db.name in /c.yml', 'db', ''],
  ])('tells an unknown key and goes on: %s', (text, option, source, hint) => {
    expect(parse(`${text}\ntimeout: 1h`)).toMatchObject({
      settings: { timeout: '1h' },
      problems: [{ option, source, severity: 'loud', hint: containing(hint) }],
    });
  });

  it.each([
    [
      'keep: [all]',
      'keep in /c.yml',
      null,
      'fatal',
      '["all"] is not valid, expected a text: all, or',
    ],
    ['keep: {daily: 7}', 'keep in /c.yml', null, 'fatal', '{"daily":"7"} is not valid'],
    ['sources: [db]', 'sources in /c.yml', null, 'fatal', 'expected a mapping of names'],
    ['sources: db', 'sources in /c.yml', null, 'fatal', 'expected a mapping of names'],
    ['sources: {DB: {}}', 'sources.DB in /c.yml', null, 'fatal', '"DB" is not valid'],
    ['sources: {db: postgres}', 'sources.db in /c.yml', 'db', 'source', 'a mapping of options'],
    ['sources: {db: {keep: [a]}}', 'sources.db.keep in /c.yml', 'db', 'source', 'expected a text'],
    [
      'sources: {db: {databases: {}}}',
      'sources.db.databases in /c.yml',
      'db',
      'source',
      'expected a text or a list of texts',
    ],
    ['sources: {db: {databases: []}}', 'sources.db.databases in /c.yml', 'db', 'source', '[]'],
    ['sources: {db: {databases: [""]}}', 'sources.db.databases in /c.yml', 'db', 'source', '[""]'],
  ])('refuses a value of the wrong shape: %s', (text, ...[option, source, severity, message]) => {
    expect(parse(text).problems).toEqual([
      {
        option,
        source,
        severity,
        message: containing(String(message)),
        hint: null,
      },
    ]);
  });
});

describe('readConfigFile', () => {
  it('tells a file that cannot be read', async () => {
    const file = await readConfigFile('/c.yml', textFiles({}));
    expect(file.problems).toEqual([
      expect.objectContaining({
        option: 'BACKUPD_CONFIG',
        message: containing('the file "/c.yml" cannot be read: ENOENT'),
        severity: 'fatal',
      }),
    ]);
  });
});
