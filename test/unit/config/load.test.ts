import { describe, expect, it } from 'vitest';
import { loadConfig, type LoadedConfig } from '../../../src/config/load.ts';
import { globalSchema } from '../../../src/config/schema.ts';
import { NOBODY_TOLD } from '../../support/storage.ts';
import { textFiles } from './text-files.ts';
import { containing } from './matchers.ts';

async function load(
  environment: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
): Promise<LoadedConfig> {
  return loadConfig(environment, textFiles(files));
}

function from(config: LoadedConfig, name: string): string | undefined {
  const option = config.options.find((one) => one.name === name);
  return option === undefined ? undefined : `${option.value ?? 'null'} from ${option.from}`;
}

describe('loadConfig', () => {
  it('has the defaults that are documented', async () => {
    const config = await load({});
    expect(config.problems).toEqual([]);
    expect(config.settings).toEqual({
      dir: '/backups',
      namespace: null,
      discover: 'project',
      timezone: 'UTC',
      concurrency: 1,
      httpPort: 9321,
      logLevel: 'info',
      logFormat: 'auto',
      keep: {
        all: false,
        last: 0,
        hourly: 24,
        daily: 7,
        weekly: 4,
        monthly: 12,
        yearly: 0,
        withinMs: 0,
      },
      schedule: { patterns: ['0 2 * * *'], timezone: 'UTC', catchUpMs: 86_400_000 },
      notify: NOBODY_TOLD,
      destinations: [],
    });
    expect(config.values).toMatchObject({
      timeout: 21_600_000,
      compression: { algorithm: 'zstd', level: 3 },
      compressIn: 'auto',
      facts: 'exact',
      maxAge: { intervals: 1.5 },
    });
    expect(config.options).toHaveLength(Object.keys(globalSchema).length);
    expect(config.options.every((option) => option.from === 'default')).toBe(true);
  });

  it('takes the environment before the file and the file before the default', async () => {
    const config = await load(
      { BACKUPD_CONFIG: '/c.yml', BACKUPD_TIMEOUT: '1h', BACKUPD_DIR_FILE: '/dir' },
      { '/c.yml': 'timeout: 2h\nconcurrency: 3', '/dir': '/srv\n' },
    );
    expect(config.problems).toEqual([]);
    expect(from(config, 'BACKUPD_TIMEOUT')).toBe('1h from environment');
    expect(from(config, 'BACKUPD_CONCURRENCY')).toBe('3 from file /c.yml');
    expect(from(config, 'BACKUPD_DIR')).toBe('/srv from BACKUPD_DIR_FILE');
    expect(from(config, 'BACKUPD_KEEP')).toMatch(/ from default$/);
    expect(config.values.timeout).toBe(3_600_000);
    expect(config.settings.concurrency).toBe(3);
    expect(config.settings.dir).toBe('/srv');
  });

  it.each([
    [{ BACKUPD_TIMEZONE: 'Europe/Rome', TZ: 'Asia/Tokyo' }, '', 'Europe/Rome from environment'],
    [{ TZ: 'Asia/Tokyo' }, 'timezone: Europe/Paris', 'Europe/Paris from file /c.yml'],
    [{ TZ: 'Asia/Tokyo' }, '', 'Asia/Tokyo from TZ'],
    [{ TZ: ':Asia/Tokyo' }, '', 'Asia/Tokyo from TZ'],
    [{ TZ: '' }, '', 'UTC from default'],
    [{}, '', 'UTC from default'],
  ])('finds the time zone: %j, file "%s"', async (environment, file, expected) => {
    const config = await load({ ...environment, BACKUPD_CONFIG: '/c.yml' }, { '/c.yml': file });
    expect(config.problems).toEqual([]);
    expect(from(config, 'BACKUPD_TIMEZONE')).toBe(expected);
    expect(config.settings.schedule.timezone).toBe(config.settings.timezone);
  });

  it('says that a TZ cannot be used, and uses UTC', async () => {
    const config = await load({ TZ: 'CET-1CEST' });
    expect(config.settings.timezone).toBe('UTC');
    expect(config.problems).toEqual([expect.objectContaining({ option: 'TZ', severity: 'loud' })]);
  });

  it('tells all problems at once, each with its option, value and what was expected', async () => {
    const config = await load(
      {
        BACKUPD_CONFIG: '/c.yml',
        BACKUPD_KEEP: 'hourly:24',
        BACKUPD_HTTP_PORT: 'http',
        BACKUPD_TIMEOUT_FILE: '/timeout',
        BACKUPD_LOG_LEVEL: '',
      },
      { '/c.yml': 'concurrency: none\ndiscover: all', '/timeout': 'long' },
    );
    const told = config.problems.map(({ option, message, severity }) => ({
      option,
      value: /^"(?<value>[^"]*)" is not valid.*, expected ./.exec(message)?.groups?.['value'],
      severity,
    }));
    expect(told).toHaveLength(6);
    expect(told).toEqual(
      expect.arrayContaining([
        { option: 'BACKUPD_KEEP', value: 'hourly:24', severity: 'fatal' },
        { option: 'BACKUPD_HTTP_PORT', value: 'http', severity: 'fatal' },
        { option: 'BACKUPD_TIMEOUT_FILE', value: 'long', severity: 'fatal' },
        { option: 'BACKUPD_LOG_LEVEL', value: '', severity: 'fatal' },
        { option: 'concurrency in /c.yml', value: 'none', severity: 'fatal' },
        { option: 'discover in /c.yml', value: 'all', severity: 'fatal' },
      ]),
    );
  });

  it('has the default where a value is wrong, for what does not need the option', async () => {
    const config = await load({ BACKUPD_KEEP: '', BACKUPD_CONCURRENCY: '0' });
    expect(config.problems.map(({ option }) => option)).toEqual([
      'BACKUPD_CONCURRENCY',
      'BACKUPD_KEEP',
    ]);
    expect(config.settings).toMatchObject({ concurrency: 1, keep: { daily: 7 } });
    expect(from(config, 'BACKUPD_CONCURRENCY')).toBe('0 from environment');
  });

  it.each([
    ['BACKUPD_SHEDULE', 'Perhaps BACKUPD_SCHEDULE was meant.'],
    ['BACKUPD_MAXAGE', 'Perhaps BACKUPD_MAX_AGE was meant.'],
    ['BACKUPD_SOURCE', 'Perhaps BACKUPD_SOURCES was meant.'],
    ['BACKUPD_NAMESPCE_FILE', 'Perhaps BACKUPD_NAMESPACE_FILE was meant.'],
    ['BACKUPD_SOURCE_SHOP_DB_SHEDULE', 'Perhaps BACKUPD_SOURCE_SHOP_DB_SCHEDULE was meant.'],
    ['BACKUPD_SOURCE_DB_MAXAGE', 'See docs/configuration.md'],
    ['BACKUPD_SOURCE_DB_MAX_AEG', 'Perhaps BACKUPD_SOURCE_DB_MAX_AGE was meant.'],
    ['BACKUPD_SOURCE_DB_NAME', 'See docs/configuration.md'],
    ['BACKUPD_NOTIFY_SLAK_URL', 'Perhaps BACKUPD_NOTIFY_SLACK_URL was meant.'],
    ['BACKUPD_PITR', 'See docs/configuration.md'],
  ])('tells the unknown variable %s without its value', async (name, hint) => {
    const { problems } = await load({ [name]: 'hunter2' });
    expect(problems).toEqual([
      {
        source: null,
        option: name,
        message: `this version of backupd has no variable ${name}`,
        hint: containing(hint),
        severity: 'loud',
      },
    ]);
    expect(JSON.stringify(problems)).not.toContain('hunter2');
  });

  it('gives sources, their variables and their entries', async () => {
    const config = await load(
      {
        BACKUPD_SOURCES: 'db=postgres://db wiki=oracle://wiki',
        BACKUPD_SOURCE_DB_KEEP: 'all',
        BACKUPD_CONFIG: '/c.yml',
      },
      { '/c.yml': 'sources: {db: {facts: off}}' },
    );
    expect(config.sources).toEqual({
      declared: [{ name: 'db', engine: 'postgres', target: 'db', databases: null }],
      declaredIn: 'BACKUPD_SOURCES',
      variables: new Map([
        [
          'DB',
          {
            keep: {
              value: 'all',
              option: 'BACKUPD_SOURCE_DB_KEEP',
              from: 'environment BACKUPD_SOURCE_DB_KEEP',
            },
          },
        ],
      ]),
      entries: new Map([
        [
          'db',
          {
            facts: {
              value: 'off',
              option: 'sources.db.facts in /c.yml',
              from: 'file /c.yml',
            },
          },
        ],
      ]),
    });
    expect(config.problems).toEqual([
      expect.objectContaining({ source: 'wiki', option: 'BACKUPD_SOURCES', severity: 'source' }),
    ]);
  });

  it('shows no password that stands in BACKUPD_SOURCES by mistake', async () => {
    const config = await load({ BACKUPD_SOURCES: 'db=postgres://admin:hunter2@db' });
    expect(JSON.stringify(config.options) + JSON.stringify(config.problems)).not.toContain(
      'hunter2',
    );
  });

  it('tells a configuration file that cannot be read, and one that is relative', async () => {
    const missing = await load({ BACKUPD_CONFIG: '/c.yml' });
    const relative = await load({ BACKUPD_CONFIG: 'c.yml' });
    expect(missing.problems.map(({ severity }) => severity)).toEqual(['fatal']);
    expect(relative.problems.map(({ message }) => message)).toEqual([
      '"c.yml" is not valid, expected an absolute path, which begins with "/"',
    ]);
  });

  it('reads real files', async () => {
    const path = new URL('../../../config/backupd.example.yml', import.meta.url).pathname;
    const config = await loadConfig({ BACKUPD_CONFIG: path });
    expect(config.problems).toEqual([]);
    const keep = config.options.find(({ name }) => name === 'BACKUPD_KEEP');
    expect(keep?.from).toBe(`file ${path}`);
  });
});
