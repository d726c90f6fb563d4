import { describe, expect, it } from 'vitest';
import { loadConfig, type LoadedConfig } from '../../../src/config/load.ts';
import { rootCertificates } from 'node:tls';
import { textFiles } from './text-files.ts';

async function load(
  environment: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
): Promise<LoadedConfig> {
  return loadConfig(environment, textFiles(files));
}

async function problems(
  environment: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  const config = await load(environment, files);
  return config.problems.map(({ option, message, hint, severity }) =>
    [severity, option, message, hint].filter((part) => part !== null).join(' | '),
  );
}

const [CERTIFICATE = ''] = rootCertificates;

describe('destinations', () => {
  it('are none by default', async () => {
    const { settings, problems } = await load({});
    expect(settings.destinations).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('are the bucket of BACKUPD_S3_*, with the defaults that are documented', async () => {
    const { settings, problems } = await load({ BACKUPD_S3_BUCKET: 'shop' });
    expect(problems).toEqual([]);
    expect(settings.destinations).toEqual([
      {
        name: 's3',
        place: {
          kind: 's3',
          bucket: 'shop',
          prefix: '',
          endpoint: null,
          region: null,
          storageClass: null,
          pathStyle: null,
          lifecycle: null,
          objectLock: null,
          ca: null,
          credentials: null,
        },
        schedule: { patterns: ['0 */6 * * *'], timezone: 'UTC', catchUpMs: 86_400_000 },
        keep: null,
        rateBytes: null,
        isOffsite: null,
        allowedRegions: null,
      },
    ]);
  });

  it('have every option, by variable, by the file of a variable, and in the file', async () => {
    const { settings, problems, options } = await load(
      {
        BACKUPD_CONFIG: '/c.yml',
        BACKUPD_DESTINATIONS: 'nas',
        BACKUPD_ALLOWED_REGIONS: 'eu-central-1, eu-west-1',
        BACKUPD_S3_ENDPOINT: 'https://minio.example.com:9000/',
        BACKUPD_S3_SECRET_ACCESS_KEY_FILE: '/run/secrets/key',
        BACKUPD_S3_REGION: 'eu-west-1',
        BACKUPD_S3_STORAGE_CLASS: '',
        BACKUPD_DEST_NAS_PATH: '/mnt/nas',
        BACKUPD_DEST_NAS_KEEP: 'daily=30',
        BACKUPD_DEST_NAS_RATE: '5MB',
        BACKUPD_DEST_NAS_OFFSITE: 'true',
        BACKUPD_DEST_FAR_AWAY_CA_FILE: '/ca.pem',
      },
      {
        '/run/secrets/key': 'secret\n',
        '/ca.pem': CERTIFICATE,
        '/c.yml': `
destinations:
  s3:
    bucket: shop
    region: eu-central-1
    prefix: team/backups/
    accessKeyId: id
    storageClass: GLACIER_IR
    pathStyle: "false"
    uploadSchedule: "@daily"
    objectLock: compliance:7d
    lifecycle: glacier:30d, expire:90d
  far-away:
    bucket: other
`,
      },
    );
    expect(problems).toEqual([]);
    const [s3, nas, far] = settings.destinations;
    expect(s3).toMatchObject({
      place: {
        bucket: 'shop',
        prefix: 'team/backups',
        endpoint: 'https://minio.example.com:9000',
        region: 'eu-west-1',
        storageClass: 'GLACIER_IR',
        pathStyle: false,
        objectLock: { mode: 'COMPLIANCE', days: 7 },
        lifecycle: { moves: [{ storageClass: 'GLACIER', days: 30 }], expireDays: 90 },
        credentials: { accessKeyId: 'id' },
      },
      schedule: { patterns: ['@daily'] },
      allowedRegions: ['eu-central-1', 'eu-west-1'],
    });
    expect(s3?.place.kind === 's3' ? s3.place.credentials?.secretAccessKey.reveal() : '').toBe(
      'secret',
    );
    expect(nas).toMatchObject({
      name: 'nas',
      place: { kind: 'directory', path: '/mnt/nas' },
      keep: { daily: 30 },
      rateBytes: 5_000_000,
      isOffsite: true,
    });
    expect(far).toMatchObject({
      name: 'far-away',
      place: { bucket: 'other', ca: `${CERTIFICATE}\n` },
    });
    const shown = Object.fromEntries(
      options.map(({ name, value, from }) => [name, `${value} from ${from}`]),
    );
    expect(shown).toMatchObject({
      BACKUPD_S3_BUCKET: 'shop from file /c.yml',
      BACKUPD_S3_REGION: 'eu-west-1 from environment',
      BACKUPD_S3_SECRET_ACCESS_KEY: '[hidden] from BACKUPD_S3_SECRET_ACCESS_KEY_FILE',
      BACKUPD_DEST_NAS_PATH: '/mnt/nas from environment',
      BACKUPD_DEST_FAR_AWAY_CA: '[hidden] from BACKUPD_DEST_FAR_AWAY_CA_FILE',
    });
    expect(JSON.stringify([settings, options])).not.toContain('secret\n');
    expect(JSON.stringify([settings, options])).not.toContain('"secret"');
  });

  it('take the endpoint that the AWS tools would take', async () => {
    const environment = { BACKUPD_S3_BUCKET: 'shop', AWS_ENDPOINT_URL: 'http://minio:9000' };
    const { settings } = await load(environment);
    expect(settings.destinations[0]?.place).toMatchObject({ endpoint: 'http://minio:9000' });
    const own = await load({ ...environment, BACKUPD_S3_ENDPOINT: 'http://other:9000' });
    expect(own.settings.destinations[0]?.place).toMatchObject({ endpoint: 'http://other:9000' });
    expect(await problems({ ...environment, AWS_ENDPOINT_URL_S3: 'minio:9000' })).toEqual([
      expect.stringContaining('fatal | AWS_ENDPOINT_URL_S3 | "minio:9000" is not valid') as string,
    ]);
  });

  it.each([
    [
      { BACKUPD_S3_REGION: 'eu-west-1' },
      [
        'fatal | BACKUPD_S3_BUCKET | the destination "s3" has no place: BACKUPD_S3_BUCKET is missing',
      ],
    ],
    [
      { BACKUPD_DESTINATIONS: 'nas' },
      [
        'fatal | BACKUPD_DEST_NAS_BUCKET | the destination "nas" has no place: BACKUPD_DEST_NAS_BUCKET or BACKUPD_DEST_NAS_PATH is missing',
      ],
    ],
    [
      { BACKUPD_DESTINATIONS: 'nas', BACKUPD_DEST_NAS_PATH: '/a', BACKUPD_DEST_NAS_BUCKET: 'abc' },
      [
        'fatal | BACKUPD_DEST_NAS_PATH | the destination "nas" has a bucket and a path, expected one of them',
      ],
    ],
    [
      { BACKUPD_DESTINATIONS: 'nas', BACKUPD_DEST_NAS_PATH: '/a', BACKUPD_DEST_NAS_REGION: 'x' },
      [
        'fatal | BACKUPD_DEST_NAS_REGION | the destination "nas" is a directory, which has no region',
      ],
    ],
    [
      { BACKUPD_S3_BUCKET: 'abc', BACKUPD_S3_ACCESS_KEY_ID: 'x' },
      ['fatal | BACKUPD_S3_ACCESS_KEY_ID | its secret is missing, expected both or none'],
    ],
    [
      { BACKUPD_DESTINATIONS: 'a-b a.b', BACKUPD_DEST_A_B_PATH: '/a' },
      [
        'fatal | BACKUPD_DESTINATIONS | the destinations "a-b" and "a.b" have the same variables, expected names that differ in more than "-", "." and "_"',
      ],
    ],
    [
      { BACKUPD_S3_PATH: '/a' },
      [
        'loud | BACKUPD_S3_PATH | this version of backupd has no variable BACKUPD_S3_PATH | Perhaps BACKUPD_S3_RATE was meant.',
      ],
    ],
    [
      { BACKUPD_DEST_NAS_PATH: '/a' },
      [
        'loud | BACKUPD_DEST_NAS_PATH | there is no destination whose name is NAS in variables | Name it in BACKUPD_DESTINATIONS, or remove the variable.',
      ],
    ],
    [
      { BACKUPD_DESTINATIONS: 'nas', BACKUPD_DEST_NAS_PATH: '/a', BACKUPD_DEST_NSA_RATE: '1MB' },
      [
        'loud | BACKUPD_DEST_NSA_RATE | there is no destination whose name is NSA in variables | Perhaps BACKUPD_DEST_NAS_RATE was meant.',
      ],
    ],
    [
      { BACKUPD_DEST_S3_BUCKET: 'abc' },
      [
        'loud | BACKUPD_DEST_S3_BUCKET | there is no destination whose name is S3 in variables | Perhaps BACKUPD_S3_BUCKET was meant.',
      ],
    ],
    [
      { BACKUPD_S3_BUKCET: 'abc' },
      [
        'loud | BACKUPD_S3_BUKCET | this version of backupd has no variable BACKUPD_S3_BUKCET | Perhaps BACKUPD_S3_BUCKET was meant.',
      ],
    ],
    [
      { BACKUPD_DEST_NAS_OBJET_LOCK: 'x' },
      [
        'loud | BACKUPD_DEST_NAS_OBJET_LOCK | this version of backupd has no variable BACKUPD_DEST_NAS_OBJET_LOCK | Perhaps BACKUPD_DEST_NAS_OBJECT_LOCK was meant.',
      ],
    ],
  ])('tells of %j', async (environment, expected) => {
    expect(await problems(environment)).toEqual(expected);
  });

  it('tells all wrong values at once, and never a secret', async () => {
    const told = await problems({
      BACKUPD_S3_BUCKET: 'a/b',
      BACKUPD_S3_ENDPOINT: 'https://id:secret@minio',
      BACKUPD_S3_RATE: '5',
      BACKUPD_S3_PREFIX: '/a',
      BACKUPD_S3_CA: '-----BEGIN PRIVATE KEY-----secret',
      BACKUPD_S3_OBJECT_LOCK: 'governance',
      BACKUPD_S3_LIFECYCLE: 'glacier:90d,expire:soon',
      BACKUPD_S3_STORAGE_CLASS: 'standard',
      BACKUPD_ALLOWED_REGIONS: 'eu west',
      BACKUPD_DESTINATIONS: 'NAS',
    });
    expect(told).toHaveLength(10);
    expect(told.every((line) => line.startsWith('fatal | BACKUPD_'))).toBe(true);
    expect(told.join('\n')).not.toContain('secret');
    expect(told.join('\n')).toContain('[hidden]@minio" is not valid (keys do not belong into it)');
  });

  it('are told what the file has that is none', async () => {
    const file = 'destinations:\n  s3:\n    bukcet: abc\n    bucket: [abc]\n  NAS: x\n  other: x';
    expect(await problems({ BACKUPD_CONFIG: '/c.yml' }, { '/c.yml': file })).toEqual([
      'loud | destinations.s3.bukcet in /c.yml | "bukcet" is no option of a destination | Perhaps bucket was meant.',
      'fatal | destinations.s3.bucket in /c.yml | ["abc"] is not valid, expected a text',
      expect.stringContaining('destinations.NAS in /c.yml') as string,
      'fatal | destinations.other in /c.yml | "x" is not valid, expected a mapping of options',
      expect.stringContaining('the destination "s3" has no place') as string,
    ]);
  });
});
