import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backupdImage, runBackupd, type BackupdOptions } from '../../support/backupd.ts';
import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { startSocketProxy, type SocketProxy } from '../../support/socket-proxy.ts';
import { startContainer, testVolume, type TestVolume } from '../../support/test-container.ts';
import { inVolume } from '../../support/volume.ts';
import { waitFor } from '../../support/wait-for.ts';

const ORDERS = 'select count(*) from orders';

let stack: AsyncDisposableStack;
let server: Postgres;
let uploads: TestVolume;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  server = stack.use(await startPostgres());
  uploads = stack.use(await testVolume());
  await server.sql('create table orders as select n as id from generate_series(1, 1000) as n');
  await inVolume(uploads.name, 'echo before >file');
});
afterAll(async () => {
  await stack.disposeAsync();
});

/** How backupd runs behind a proxy, and its sources. */
function behind(
  { options }: SocketProxy,
  backups: TestVolume,
  sources: readonly ('db' | 'uploads')[],
): BackupdOptions {
  const urls = {
    db: `db=postgres://${server.name}/shop`,
    uploads: `uploads=volume://${uploads.name}`,
  };
  const env = {
    ...options.env,
    BACKUPD_DISCOVER: 'off',
    BACKUPD_DRILL_SCHEDULE: 'off',
    BACKUPD_SOURCES: sources.map((source) => urls[source]).join(' '),
  };
  // No right that it does not need: not to be root, no capability, nothing to write to but the backups.
  return {
    ...options,
    env,
    backups: backups.name,
    user: '12345:12345',
    readOnly: true,
    more: ['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
  };
}

interface CheckJson {
  readonly ok: boolean;
  readonly checks: readonly {
    readonly name: string;
    readonly subject: string;
    readonly ok: boolean;
    readonly message: string;
    readonly hint: string | null;
  }[];
}

async function check(options: BackupdOptions, ...more: readonly string[]): Promise<CheckJson> {
  const { stdout } = await runBackupd(['check', '--json', ...more], options);
  return JSON.parse(stdout) as CheckJson;
}

function calls({ checks }: CheckJson): readonly string[] {
  return checks
    .filter(({ name, subject }) => name === 'docker' && subject === 'calls')
    .map(({ ok, message }) => `${ok ? 'ok' : 'FAILED'} ${message}`);
}

describe('rule set A', () => {
  test('is all that backups, restores and the daemon need', async () => {
    await using proxy = await startSocketProxy();
    await using backups = await testVolume();
    const options = behind(proxy, backups, ['db']);
    const report = await check(options);
    expect(report).toMatchObject({ ok: true });
    expect(calls(report)).toEqual([
      'ok forbidden: GET /volumes, GET /volumes/{name}, POST /volumes/create, DELETE /volumes/{name}, POST /containers/create, GET /containers/{id}/logs, DELETE /containers/{id} (nothing that is configured needs them; they are for volumes as sources and restore drills)',
    ]);
    for (const args of [['backup'], ['restore', 'db'], ['restore', 'db', '--undo']]) {
      const ran = await runBackupd(args, options);
      expect(ran.exitCode, ran.stdout + ran.stderr).toBe(0);
    }
    expect(await server.sql(ORDERS)).toBe('1000');
    await using own = await testVolume();
    await using daemon = await startContainer({
      ...options,
      image: await backupdImage(),
      volumes: [`${own.name}:/backups`],
    });
    await waitFor('first backup', async () => (await daemon.logs()).includes('backup finished'));
    expect((await daemon.exec(['backupd', 'status'])).exitCode).toBe(0);
    expect(await daemon.logs()).not.toContain('forbids');
  });

  test('refuses what a volume needs, by the name of the call and of the rules', async () => {
    await using proxy = await startSocketProxy();
    await using backups = await testVolume();
    const options = behind(proxy, backups, ['uploads']);
    const ran = await runBackupd(['backup'], options);
    expect(ran.exitCode).toBe(20);
    expect(ran.stdout + ran.stderr).toMatch(
      /127\.0\.0\.1:2375 forbids GET \/volumes\/\{name\} \(HTTP 403\)[\s\S]*docs\/least-privilege\.md/,
    );
    const report = await check(options);
    expect(report.ok).toBe(false);
    expect(calls(report)[0]).toMatch(/^FAILED forbidden: .*POST \/containers\/create.*needed for/);
    expect(await proxy.logs()).toContain('forbidden or failed: GET /volumes/');
  });
});

test('rule set B is all that volumes and drills need', async () => {
  await using proxy = await startSocketProxy({ scratch: true });
  await using backups = await testVolume();
  const options = behind(proxy, backups, ['db', 'uploads']);
  const report = await check(options);
  expect(calls(report)).toEqual(['ok 127.0.0.1:2375 allows every call that backupd makes']);
  const backup = await runBackupd(['backup'], options);
  expect(backup.exitCode, backup.stdout + backup.stderr).toBe(0);
  await inVolume(uploads.name, 'echo after >file');
  const restore = await runBackupd(['restore', 'uploads'], options);
  expect(restore.exitCode, restore.stdout + restore.stderr).toBe(0);
  expect(await inVolume(uploads.name, 'cat file')).toBe('before\n');
  const undo = await runBackupd(['restore', 'uploads', '--undo'], options);
  expect(undo.exitCode, undo.stdout + undo.stderr).toBe(0);
  expect(await inVolume(uploads.name, 'cat file')).toBe('after\n');
  const drill = await runBackupd(['drill', 'uploads'], options);
  expect(drill.exitCode, drill.stdout + drill.stderr).toBe(0);
  const tried = await runBackupd(['drill', 'db'], options);
  expect(tried.exitCode, tried.stdout + tried.stderr).toBe(0);
});

describe('a rule that is missing', () => {
  test('is told by the name of its call', async () => {
    await using proxy = await startSocketProxy({
      edit: (config) => config.replace('http-request allow if post exec_start', ''),
    });
    await using backups = await testVolume();
    const options = behind(proxy, backups, ['db']);
    const ran = await runBackupd(['backup'], options);
    expect(ran.exitCode).toBe(20);
    expect(ran.stdout + ran.stderr).toContain('forbids POST /exec/{id}/start (HTTP 403)');
    expect(calls(await check(options))[0]).toBe(
      'FAILED forbidden: POST /exec/{id}/start (needed for backups and restores)',
    );
  });

  test('so is a time-out that is too short', async () => {
    await using proxy = await startSocketProxy({
      edit: (config) => config.replace('timeout tunnel 1h', 'timeout tunnel 1s'),
    });
    await using backups = await testVolume();
    const options = behind(proxy, backups, ['db']);
    const patient = await check(options, '--silence', '4s');
    const stream = patient.checks.find(({ subject }) => subject === 'stream');
    expect(stream).toMatchObject({ ok: false });
    expect(stream?.message).toContain('did not come back after 4s of silence');
    expect(stream?.hint).toContain('timeout client, server and tunnel');
  });
});
