import { readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';
import { parse } from 'yaml';
import { expect, it } from 'vitest';
import { describeConfiguration } from '../../../src/config/document.ts';
import { parseConfigFile } from '../../../src/config/file.ts';
import { jobsFrom } from '../../../src/config/jobs.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { DESTINATION_KEYS } from '../../../src/config/destination-schema.ts';
import { globalSchema } from '../../../src/config/schema.ts';
import { sourceKeys, toLabel } from '../../../src/config/source-schema.ts';
import { textFiles } from './text-files.ts';

interface ComposeFile {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly labels?: Readonly<Record<string, string>>;
        readonly volumes?: readonly string[];
        readonly environment?: Readonly<Record<string, string>>;
      }
    >
  >;
}

const TEXT = describeConfiguration();
const EXAMPLES = [...TEXT.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml]) => yaml ?? '');
const COMPOSE = EXAMPLES.filter((yaml) => yaml.startsWith('services:'));

async function read(path: string): Promise<string> {
  return readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');
}

it('is what docs/configuration.md says; else run "npm run docs"', async () => {
  expect(await read('docs/configuration.md')).toBe(TEXT);
});

it('names every option', () => {
  for (const { env } of Object.values(globalSchema)) {
    expect(TEXT).toContain(`| \`${env}\` |`);
  }
  for (const key of DESTINATION_KEYS) {
    expect(TEXT).toContain(`| \`${key}\` |`);
  }
  for (const key of sourceKeys('label')) {
    expect(TEXT).toContain(`| \`${toLabel(key)}\` |`);
  }
});

it('has tables whose rows all have the cells of their heads', () => {
  for (const block of TEXT.split('\n\n').filter((part) => part.startsWith('| '))) {
    const counts = block.split('\n').map((line) => line.split(' | ').length);
    expect(new Set(counts).size, block).toBe(1);
  }
});

it('has compose examples', () => {
  expect(COMPOSE).toHaveLength(5);
});

it.each(COMPOSE)('has compose examples that are right: %#', async (yaml) => {
  const { services } = parse(yaml) as ComposeFile;
  const secrets = textFiles({
    '/run/secrets/minio': 'a key',
    '/run/secrets/minio-ca.pem': rootCertificates[0] ?? '',
  });
  const config = await loadConfig(services['backupd']?.environment ?? {}, secrets);
  expect(config.problems).toEqual([]);
  const containers = Object.entries(services).map(([service, { labels, volumes = [] }]) => ({
    id: service,
    name: service,
    image: 'postgres:17',
    state: 'running',
    mounts: volumes.map((volume) => {
      const [name = '', destination = ''] = volume.split(':');
      return { volume: `shop_${name}`, composeName: name, destination };
    }),
    labels: {
      ...labels,
      'com.docker.compose.project': 'shop',
      'com.docker.compose.service': service,
    },
  }));
  const found = jobsFrom(config, containers, { project: 'shop' });
  expect(found.problems).toEqual([]);
  expect([...found.jobs, ...config.settings.destinations]).not.toEqual([]);
});

function isKey(option: string): boolean {
  return /^(?:age|gpg)[A-Z]/.test(option);
}

it('has an example of a file that is right', () => {
  const [file] = EXAMPLES.filter((yaml) => !yaml.startsWith('services:'));
  expect(parseConfigFile(file ?? 'none', '/c.yml').problems).toEqual([]);
});

/** The example file with all that is an example in it. */
function uncommented(text: string): string {
  return text.replaceAll(/^( *)#(?=\w)/gm, '$1');
}

it('comes with an example file that has every option and no problem', async () => {
  const text = uncommented(await read('config/backupd.example.yml'));
  const config = await loadConfig({ BACKUPD_CONFIG: '/c.yml' }, textFiles({ '/c.yml': text }));
  const found = jobsFrom(config, [], { project: null });
  expect([...config.problems, ...found.problems]).toEqual([]);
  expect(found.jobs.map(({ source }) => source)).toEqual(['orders', 'uploads', 'wiki']);
  const file = parseConfigFile(text, '/c.yml');
  expect(Object.keys(file.settings).toSorted()).toEqual(
    Object.keys(globalSchema)
      .filter(
        (key) => !['config', 'sources', 'destinations', 'notifyCa'].includes(key) && !isKey(key),
      )
      .toSorted(),
  );
  // Whoever copies the file must not encrypt for somebody else.
  for (const key of Object.keys(globalSchema).filter((each) => isKey(each))) {
    expect(text).toContain(`\n# ${key}: `);
  }
  const used = [...file.sources.values()].flatMap((entry) => Object.keys(entry));
  expect(sourceKeys('file').filter((key) => !used.includes(key))).toEqual(['enable']);
  const ofDestinations = [...file.destinations.values()].flatMap((entry) => Object.keys(entry));
  // Certificates are long, and have a file of their own; rules at the store are not applied yet.
  expect(DESTINATION_KEYS.filter((key) => !ofDestinations.includes(key))).toEqual([
    'ca',
    'lifecycle',
  ]);
});

it('has nothing but the defaults in force in the example file', async () => {
  const file = parseConfigFile(await read('config/backupd.example.yml'), '/c.yml');
  for (const [key, { default: value }] of Object.entries(globalSchema)) {
    const expected = key === 'timezone' ? undefined : (value ?? undefined);
    expect(file.settings[key as keyof typeof file.settings], key).toBe(expected);
  }
  expect(file.destinations.size).toBe(0);
});
