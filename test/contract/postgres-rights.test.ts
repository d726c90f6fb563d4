import { afterAll, beforeAll, expect, test } from 'vitest';
import { liveApp, type LiveApp } from '../support/live-app.ts';
import { startPostgres, type Postgres } from '../support/postgres.ts';

const stack = new AsyncDisposableStack();
let server: Postgres;
let app: LiveApp;

beforeAll(async () => {
  server = stack.use(await startPostgres());
  await server.sql(`
    create role nobody login;
    create role limited login in role pg_read_all_data;
    create role reader login bypassrls;
    create database secured;
  `);
  await server.sql('create table t as select n from generate_series(1, 20) n');
  await server.sql(
    `create table t as select n from generate_series(1, 20) n;
     alter table t enable row level security;
     create policy half on t using (n % 2 = 0);
     grant select on t to reader;`,
    'secured',
  );
  app = stack.use(
    await liveApp({
      sources: {
        nobody: `postgres://${server.name}/shop`,
        limited: `postgres://${server.name}/secured`,
        reader: `postgres://${server.name}/secured`,
      },
      env: {
        BACKUPD_SOURCE_NOBODY_USER: 'nobody',
        BACKUPD_SOURCE_LIMITED_USER: 'limited',
        BACKUPD_SOURCE_READER_USER: 'reader',
      },
    }),
  );
});

afterAll(async () => {
  await stack.disposeAsync();
});

test('a role without rights fails, and says which right it lacks', async () => {
  const { failure } = await app.backUp('nobody');
  expect(failure).toMatchObject({
    code: 'dump-failed',
    message: expect.stringContaining('permission denied for table t') as string,
  });
  expect(await app.app.context.catalog.entries('nobody')).toEqual([]);
});

test('a role that sees some rows only is refused', async () => {
  const { failure } = await app.backUp('limited');
  expect(failure).toMatchObject({
    code: 'dump-failed',
    message: expect.stringMatching(/row-level security policy for table "t"/) as string,
  });
  expect(await app.app.context.catalog.entries('limited')).toEqual([]);
});

test('a role that may read everything is enough, but for the passwords', async () => {
  const manifest = await app.backedUp('reader');
  expect(manifest.facts.databases['secured']?.tables).toEqual({
    'public.t': { rows: 20, exact: true },
  });
  expect(manifest.warnings.map(({ code }) => code)).toEqual(['role-passwords-unreadable']);
});

test('a restore by a role that is no superuser is refused before anything is done', async () => {
  const before = await server.sql('select oid, datname from pg_database order by 1');
  await expect(app.restore({ source: 'reader' })).rejects.toMatchObject({
    code: 'target-unavailable',
    message: expect.stringContaining('no superuser') as string,
  });
  expect(await server.sql('select oid, datname from pg_database order by 1')).toBe(before);
});
