import { spawn } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDaemon, type Daemon } from '../../support/backupd.ts';
import { openBucketStage, type BucketStage, type StageBucket } from '../../support/bucket-stage.ts';
import { newAgeKey, startKeyTools, type AgeKey, type GpgKeyPair } from '../../support/keys.ts';
import { docker, type ProcessResult } from '../../support/run-process.ts';
import { formsOf, linesWith } from '../../support/secret-forms.ts';
import { temporaryFolder } from '../../support/storage.ts';
import { testVolume, uniqueName } from '../../support/test-container.ts';
import { CALM, keysOf } from '../../support/uploads.ts';
import { waitFor } from '../../support/wait-for.ts';

const PASSPHRASE = 'a pass+phrase of "nobody" & 100% own';
const WRONG = 'wrong/secret+of "nobody"';
type Env = Readonly<Record<string, string>>;

const started = new AsyncDisposableStack();
let stage: BucketStage;
/** What is mounted at `/own`: secrets, and what gpg was started with. */
let own: string;
let age: AgeKey;
let gpg: GpgKeyPair;

beforeAll(async () => {
  stage = started.use(await openBucketStage());
  own = started.use(await temporaryFolder()).dir;
  age = await newAgeKey();
  await using tools = await startKeyTools(own);
  gpg = await tools.makeGpgKey('backups', { passphrase: PASSPHRASE });
  await mkdir(join(own, 'secrets'));
  for (const [name, value] of Object.entries({
    identity: `# a comment\n${age.identity}`,
    gpg: gpg.secretKey,
    passphrase: PASSPHRASE,
    wrong: WRONG,
    'wrong-identity': `${age.identity}${WRONG}`,
  })) {
    await writeFile(join(own, 'secrets', name), `${value}\n`);
  }
  for (const tool of ['gpg', 'gpgconf']) {
    const script = `{ printf '%s\\n' "$0" "$@"; env; } >>/own/seen; exec /usr/bin/${tool} "$@"`;
    await writeFile(join(own, tool), `#!/bin/sh\n${script}\n`);
    await chmod(join(own, tool), 0o755);
  }
});
afterAll(async () => {
  await started.disposeAsync();
});

/** The daemon, whose secrets are files. */
async function start(name: string, bucket: StageBucket, more: Env): Promise<Daemon> {
  const { BACKUPD_S3_SECRET_ACCESS_KEY: key = '', ...place } = bucket.env;
  await writeFile(join(own, 'secrets/s3'), `${key}\n`);
  const backups = started.use(await testVolume());
  return startDaemon({
    name,
    backups: backups.name,
    volumes: [
      `${own}:/own`,
      `${own}/gpg:/usr/local/sbin/gpg:ro`,
      `${own}/gpgconf:/usr/local/sbin/gpgconf:ro`,
    ],
    env: {
      ...place,
      BACKUPD_DISCOVER: 'off',
      BACKUPD_NAMESPACE: 'shop',
      BACKUPD_SOURCES: `orders=postgres://${stage.server.name}/shop`,
      BACKUPD_LOG_LEVEL: 'trace',
      BACKUPD_UPLOAD_SCHEDULE: '*/20 * * * * *',
      BACKUPD_S3_SECRET_ACCESS_KEY_FILE: '/own/secrets/s3',
      BACKUPD_AGE_IDENTITY_FILE: '/own/secrets/identity',
      BACKUPD_GPG_SECRET_KEY_FILE: '/own/secrets/gpg',
      BACKUPD_GPG_PASSPHRASE_FILE: '/own/secrets/passphrase',
      ...more,
    },
  });
}

/** What Docker tells everybody of these containers from now on. */
function followEvents(...names: readonly string[]): { readonly said: () => string } {
  const filters = names.flatMap((name) => ['--filter', `container=${name}`]);
  const child = spawn('docker', ['events', ...filters, '--format', '{{.Action}}']);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  started.defer(() => {
    child.kill();
  });
  return { said: () => said };
}

/** Commands with a secret that is wrong. */
const MISTAKES: readonly (readonly [Env, ...(readonly string[])[]])[] = [
  [{ BACKUPD_S3_SECRET_ACCESS_KEY_FILE: '/own/secrets/wrong' }, ['upload', '--json'], ['check']],
  [{ BACKUPD_GPG_PASSPHRASE_FILE: '/own/secrets/wrong' }, ['verify', '--json'], ['restore']],
  [{ BACKUPD_AGE_IDENTITY_FILE: '/own/secrets/wrong-identity' }, ['verify']],
];

/** Every command that has to do with keys or stores, also where secrets are wrong. @returns all that they said */
async function runAll(
  daemon: Daemon,
  [id, file]: readonly [id: string, file: string],
): Promise<string[]> {
  const said: string[] = [];

  async function run(args: readonly string[], env: Env = {}): Promise<ProcessResult> {
    const result = await daemon.cli(args, { env });
    said.push(result.stdout, result.stderr);
    return result;
  }

  for (const args of [
    ['verify', '--json'],
    ['verify', '--from', 's3'],
    ['cat', id, file],
    ['restore', 'orders', '--wait', '1m'],
    ['restore', 'orders', '--from', 's3', '--wait', '1m', '--json'],
    ['upload', '--wait', '1m', '--json'],
    ['check', '--json'],
    ['config'],
    ['runbook'],
    ['show', id],
    ['status', '--json'],
  ]) {
    const { exitCode, stdout, stderr } = await run(args);
    expect([0, 4], `${args.join(' ')}\n${stdout}${stderr}`).toContain(exitCode);
  }
  for (const [env, ...commands] of MISTAKES) {
    for (const args of commands) {
      await run(args, env);
    }
  }
  return said;
}

async function pagesOf(daemon: Daemon): Promise<readonly string[]> {
  const paths = ['/metrics', '/healthz', '/readyz', '/', '/api/status'];
  return Promise.all(paths.map(async (path) => (await daemon.get(path)).text()));
}

async function objectsIn({ destination }: StageBucket): Promise<readonly string[]> {
  const keys = await keysOf(destination, '');
  expect(keys.length).toBeGreaterThan(3);
  const all = await Promise.all(keys.map((key) => destination.get(key, null, CALM)));
  return all.map((bytes) => bytes?.toString('latin1') ?? '');
}

test.each(['age', 'gpg'])(
  'no secret of %s or of the store is to be seen',
  async (scheme) => {
    const bucket = await stage.bucket();
    const name = uniqueName('daemon');
    const events = followEvents(name, stage.server.name);
    const recipients: Env =
      scheme === 'age'
        ? { BACKUPD_AGE_RECIPIENTS: age.recipient }
        : { BACKUPD_GPG_RECIPIENT_KEYS: gpg.publicKey };
    await using daemon = await start(name, bucket, recipients);
    const { id } = await waitFor(
      'copy of the first backup',
      async () => {
        const { stdout } = await daemon.cli(['list', '--json']);
        const list = JSON.parse(stdout) as readonly { id: string; copies: readonly unknown[] }[];
        return list.find(({ copies }) => copies.length > 0);
      },
      120_000,
    );
    const said = await runAll(daemon, [id, `globals.sql.zst.${scheme}`]);
    await daemon.exec(['true', 'that', 'is', 'all']);
    await waitFor('last of the events', () =>
      events.said().includes('exec_create: true that is all'),
    );
    const seen = await readFile(join(own, 'seen'), 'utf8').catch(() => '');
    expect(/^--decrypt$/m.test(seen)).toBe(scheme === 'gpg');

    const places = [
      ...said,
      seen,
      events.said(),
      await daemon.logs(),
      await docker('inspect', daemon.name),
      ...(await pagesOf(daemon)),
      ...(await objectsIn(bucket)),
    ];
    const secrets = [
      age.identity,
      // A line in the midst of it.
      gpg.secretKey.split('\n')[6] ?? '',
      PASSPHRASE,
      bucket.env['BACKUPD_S3_SECRET_ACCESS_KEY'] ?? '',
      WRONG,
    ];
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(15);
      expect(linesWith(secret, places)).toEqual([]);
    }
    const patterns = secrets.flatMap((secret) => formsOf(secret)).join('\n');
    const argv = ['grep', '-rlaF', '-f', '-', '/backups', '/tmp', '/root', '/dev/shm'];
    expect(await daemon.exec(argv, { input: patterns })).toMatchObject({ exitCode: 1, stdout: '' });
  },
  600_000,
);
