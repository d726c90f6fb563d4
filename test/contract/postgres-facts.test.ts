import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectDocker } from '../../src/docker/connect.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { readFacts } from '../../src/sources/postgres/facts.ts';
import { readTools } from '../../src/sources/postgres/tools.ts';
import { openSession } from '../../src/sources/postgres/session.ts';
import { liveApp, type LiveApp } from '../support/live-app.ts';
import { startPostgres, type Postgres } from '../support/postgres.ts';

const stack = new AsyncDisposableStack();
let server: Postgres;
let app: LiveApp;

beforeAll(async () => {
  server = stack.use(await startPostgres());
  await server.sql(`
    create table small as select n from generate_series(1, 10) n;
    create table locked as select n from generate_series(1, 1000) n;
    create table large as select n from generate_series(1, 500000) n;
    create sequence s; analyze;
  `);
  app = stack.use(
    await liveApp({
      sources: {
        estimated: `postgres://${server.name}/shop`,
        off: `postgres://${server.name}/shop`,
      },
      env: { BACKUPD_SOURCE_ESTIMATED_FACTS: 'estimate', BACKUPD_SOURCE_OFF_FACTS: 'off' },
    }),
  );
});

afterAll(async () => {
  await stack.disposeAsync();
});

test('rows may be estimated, and are not compared then', async () => {
  const { facts } = await app.backedUp('estimated');
  expect(facts.databases['shop']).toMatchObject({
    tables: {
      'public.small': { rows: 10, exact: false },
      'public.locked': { rows: 1000, exact: false },
    },
    sequences: { 'public.s': '1 (not called)' },
    objects: { extensions: 1 },
  });
  const report = await app.restore({ source: 'estimated', as: 'by estimate' });
  expect(report.databases[0]?.facts).toEqual({ matches: true, differences: [] });
});

test('without facts a backup is restored as well', async () => {
  const { facts } = await app.backedUp('off');
  expect(facts.databases['shop']).toMatchObject({ tables: {}, objects: {} });
  await app.restore({ source: 'off', as: 'without facts' });
  expect(await server.sql('select count(*) from large', 'without facts')).toBe('500000');
});

test('counting stops when its time is over, goes on to tell what it counted, and leaves the snapshot alone', async () => {
  const held = server.exec(['psql', '-f', '-'], {
    env: { PGUSER: 'postgres', PGDATABASE: 'shop' },
    // The count of this table waits for as long as this waits for a file.
    input: `begin; lock table locked in access exclusive mode;\n\\! while [ ! -e /tmp/let-go ]; do sleep 0.1; done\n`,
  });
  await server.sql(`do $$ begin
    while not exists (select from pg_locks where relation = 'locked'::regclass and mode = 'AccessExclusiveLock') loop
      perform pg_sleep(0.02);
    end loop;
  end $$`);
  const signal = AbortSignal.timeout(60_000);
  const docker = connectDocker(process.env);
  const at = { containerId: server.id, container: server.name, run: 'test/facts/1' };
  const how = { user: null, passwordFile: null, run: at.run };
  const tools = await readTools(docker, at, signal);
  const connection = await connect(docker, at, { ...how, tools }, signal);
  await using session = await openSession(connection, 'shop', signal);
  await session.run('begin transaction isolation level repeatable read read only');

  const facts = await readFacts(session, { depth: 'exact', budgetMs: 2000 });
  expect(facts.tables).toEqual({
    'public.small': { rows: 10, exact: true },
    'public.locked': { rows: 1000, exact: false },
    'public.large': { rows: expect.any(Number) as number, exact: false },
  });
  expect(await session.run('select count(*) from small')).toEqual(['10']);
  await server.exec(['touch', '/tmp/let-go']);
  await held;
});
