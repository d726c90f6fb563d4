import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { check } from '../../src/jobs/check.ts';
import { fingerprintServer } from '../support/fingerprint.ts';
import { startIdleContainer } from '../support/idle-container.ts';
import { liveApp, type LiveApp } from '../support/live-app.ts';
import { containing, having } from '../support/matchers.ts';
import { postgresIn, waitUntilReady, type Postgres } from '../support/postgres.ts';
import { docker } from '../support/run-process.ts';
import { temporaryFolder } from '../support/storage.ts';
import { startContainer } from '../support/test-container.ts';
import { waitFor } from '../support/wait-for.ts';

const PASSWORD = `s3cret 'of" $the \\server`;
const READERS_PASSWORD = 'the-readers-own';

const stack = new AsyncDisposableStack();
let server: Postgres;
let app: LiveApp;

/** Nothing here is called `postgres`: neither image nor role nor database; nobody is trusted, and the password is in a file. */
beforeAll(async () => {
  const { dir } = stack.use(await temporaryFolder());
  await chmod(dir, 0o755);
  await writeFile(join(dir, 'password'), `${PASSWORD}\n`, { mode: 0o644 });
  await writeFile(join(dir, 'readers'), `${READERS_PASSWORD}\n`, { mode: 0o644 });
  const env = { POSTGRES_USER: 'Admin é', POSTGRES_DB: 'shop' };
  const container = stack.use(
    await startContainer({
      image: await docker('image', 'inspect', '--format', '{{.Id}}', 'postgres:17'),
      env: {
        ...env,
        POSTGRES_PASSWORD_FILE: '/secrets/password',
        POSTGRES_INITDB_ARGS: '--auth-local=scram-sha-256 --auth-host=scram-sha-256',
      },
      volumes: [`${dir}:/secrets:ro`],
      args: ['-c', 'fsync=off'],
    }),
  );
  server = postgresIn(container, { ...env, POSTGRES_PASSWORD: PASSWORD });
  await waitUntilReady(server);
  await server.sql(`
    create table t as select n from generate_series(1, 100) n;
    create role reader login bypassrls password '${READERS_PASSWORD}' in role pg_read_all_data;
    create database crm;
    drop database if exists postgres;
  `);
  app = stack.use(
    await liveApp({
      sources: {
        all: `postgres://${server.name}`,
        reader: `postgres://${server.name}/shop`,
        some: `postgres://${server.name}`,
        absent: `postgres://${server.name}/shop,absent`,
        none: `postgres://${server.name}/shop`,
      },
      env: {
        BACKUPD_SOURCE_NONE_EXCLUDE: 'shop',
        BACKUPD_SOURCE_READER_USER: 'reader',
        BACKUPD_SOURCE_READER_PASSWORD_FILE: '/secrets/readers',
        BACKUPD_SOURCE_SOME_EXCLUDE: 'crm',
      },
    }),
  );
});

afterAll(async () => {
  await stack.disposeAsync();
});

/** What is executed in a container from now on, as anybody on the host can see. */
async function watchExecs(container: string): Promise<AsyncDisposable & { seen(): string }> {
  const filters = ['--filter', `container=${container}`, '--filter', 'event=exec_create'];
  const watching = spawn('docker', ['events', ...filters], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(watching, 'close');
  let text = '';
  watching.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await waitFor('first event', async () => {
    await docker('exec', container, 'true');
    return text !== '';
  });
  return {
    seen: () => text,
    async [Symbol.asyncDispose]() {
      watching.kill();
      await ended;
    },
  };
}

test("a password from the server's own environment lets a backup and a restore in, and is nowhere to be seen", async () => {
  await using execs = await watchExecs(server.name);
  const original = await fingerprintServer(server);
  const manifest = await app.backedUp('all');
  expect(manifest.databases).toEqual(['crm', 'shop']);
  await server.sql('drop table t');

  const report = await app.restore({ source: 'all' });
  expect(report.warnings).toEqual([]);
  expect(await fingerprintServer(server)).toEqual(original);

  expect(execs.seen()).toContain('pg_dump');
  expect(execs.seen()).toContain('pg_restore');
  expect(execs.seen()).not.toContain('s3cret');
  expect(JSON.stringify([app.events, manifest, report])).not.toContain('s3cret');
});

test('a role and the file of its password can be named', async () => {
  const manifest = await app.backedUp('reader');
  expect(manifest.facts.databases['shop']?.tables).toEqual({
    'public.t': { rows: 100, exact: true },
  });
  await server.sql(`alter role reader password 'another'`);
  const { failure } = await app.backUp('reader');
  expect(failure).toMatchObject({
    code: 'dump-failed',
    message: expect.stringMatching(/as "reader": .*password authentication failed/) as string,
  });
});

test('databases can be chosen and left out; one that is not there is a failure', async () => {
  expect((await app.backedUp('some')).databases).toEqual(['shop']);
  const { failure } = await app.backUp('absent');
  expect(failure).toMatchObject({
    code: 'dump-failed',
    message: expect.stringContaining('has no database "absent"') as string,
  });
});

test('a database whose DROP was interrupted is passed over and named; a restore over it is refused', async () => {
  await server.sql(`
    create database half;
    update pg_database set datconnlimit = -2 where datname = 'half'`);
  const { databases, warnings } = await app.backedUp('all');
  expect(databases).not.toContain('half');
  expect(warnings).toEqual([
    { code: 'database-skipped', message: containing('"half" was not dumped: a DROP DATABASE') },
  ]);
  await expect(app.plan({ source: 'all', databases: ['crm'], as: 'half' })).rejects.toMatchObject({
    code: 'target-in-use',
    message: containing('"half" was interrupted'),
  });
  await server.sql('drop database half');
});

test('a backup of nothing is a failure, which check tells before it comes', async () => {
  const { failure } = await app.backUp('none');
  expect(failure).toMatchObject({
    code: 'dump-failed',
    message: containing('no database of the server'),
  });
  const report = await check({ silenceMs: 0 }, app.app, AbortSignal.timeout(60_000));
  for (const [subject, message] of [
    ['absent', '"absent"'],
    ['none', 'no database of the server'],
  ] as const) {
    expect(report.checks).toContainEqual(
      having({ name: 'login', subject, ok: false, message: containing(message) }),
    );
  }
});

test('a container without the tools is said to have none', async () => {
  await using idle = await startIdleContainer();
  await using other = await liveApp({
    sources: { db: `postgres://${idle.name}/shop` },
    env: { BACKUPD_SOURCE_DB_ENGINE: 'postgres' },
  });
  expect((await other.backUp('db')).failure).toMatchObject({
    code: 'target-unavailable',
    message: expect.stringContaining('has no pg_dump') as string,
  });
});

test('what a restore kept is not backed up, whatever its name is by then', async () => {
  const { databases } = await app.restore({ source: 'some', databases: ['shop'] });
  await server.sql(`alter database ${databases[0]?.previous ?? ''} rename to archive`, 'crm');
  const made = await app.backedUp('all');
  expect(made.databases).toEqual(['crm', 'shop']);
  expect(made.warnings).toEqual([
    having({ code: 'kept-renamed', message: containing('"archive"') }),
  ]);
  await expect(app.undo('some')).rejects.toMatchObject({ code: 'nothing-to-undo' });
});
