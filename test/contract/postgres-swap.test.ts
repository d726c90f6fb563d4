import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { fingerprintDatabase } from '../support/fingerprint.ts';
import { liveApp, type LiveApp } from '../support/live-app.ts';
import { startPostgres, type Postgres } from '../support/postgres.ts';
import { untilLoading } from '../support/restore-stage.ts';
import { waitFor } from '../support/wait-for.ts';

const stack = new AsyncDisposableStack();
let server: Postgres;
let app: LiveApp;

beforeAll(async () => {
  server = stack.use(
    await startPostgres({
      args: ['-c', 'fsync=off', '-c', 'wal_level=logical', '-c', 'max_prepared_transactions=5'],
    }),
  );
  await server.sql(
    'create role clerk login; create database publisher; create database follower; create database slow; create database newcomer',
  );
  for (const database of ['shop', 'postgres']) {
    await server.sql(`create table state as select 'dumped' as state`, database);
  }
  app = stack.use(
    await liveApp({
      sources: {
        both: `postgres://${server.name}/shop,postgres`,
        shop: `postgres://${server.name}/shop`,
        slow: `postgres://${server.name}/slow`,
        follower: `postgres://${server.name}/follower`,
        publisher: `postgres://${server.name}/publisher`,
      },
    }),
  );
  await app.backedUp('shop');
});

afterAll(async () => {
  await stack.disposeAsync();
});

test('24 clients that reconnect in a loop, superusers among them, do not stop six swaps, of the database postgres too', async () => {
  await app.backedUp('both');
  for (const database of ['shop', 'postgres']) {
    await server.sql(`update state set state = 'changed'`, database);
  }
  const clients = server.exec([
    'sh',
    '-c',
    `for client in $(seq 24); do
      user=clerk database=shop
      [ $((client % 3)) != 0 ] || user=postgres
      [ $((client % 4)) != 0 ] || database=postgres
      # Half of them would stay for longer than a swap waits.
      seconds=$((client % 2 * 600 + 1))
      (until [ -e /tmp/enough ]; do
        /usr/lib/postgresql/17/bin/psql -X -U $user -d $database -c "select pg_sleep($seconds)"
      done) >/dev/null 2>&1 &
    done
    wait`,
  ]);
  await server.sql(`do $$ begin
    while (select count(*) from pg_stat_activity where usename = 'clerk') < 8 loop
      perform pg_stat_clear_snapshot(); perform pg_sleep(0.02);
    end loop;
  end $$`);

  const seen: string[] = [];
  for (let swap = 1; swap <= 6; swap += 1) {
    await (swap === 1 ? app.restore({ source: 'both' }) : app.undo('both'));
    const state = 'select state from state';
    seen.push(`${await server.sql(state)}, ${await server.sql(state, 'postgres')}`);
  }
  await server.exec(['touch', '/tmp/enough']);
  await server.sql(
    `select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep%'`,
  );
  await clients;
  const [dumped, changed] = ['dumped, dumped', 'changed, changed'];
  expect(seen).toEqual(seen.map((_state, index) => (index % 2 === 0 ? dumped : changed)));
});

test('a synchronous standby that is gone does not hold up a swap', async () => {
  await app.restore({ source: 'shop' });
  const loaded = await server.sql('select pg_conf_load_time()');
  // A setting by itself waits for nobody: from here on a commit that changes something would wait for ever.
  await server.sql(`alter system set synchronous_standby_names = 'gone'; select pg_reload_conf()`);
  await waitFor('reload', async () => (await server.sql('select pg_conf_load_time()')) !== loaded);
  try {
    await app.undo('shop');
  } finally {
    await server.sql(`alter system reset synchronous_standby_names; select pg_reload_conf()`);
  }
});

test('two restores within one second keep what was there under two names', async () => {
  vi.setSystemTime(new Date());
  try {
    await server.sql(`update state set state = 'one'`);
    const first = await app.restore({ source: 'shop' });
    await server.sql(`update state set state = 'two'`);
    const second = await app.restore({ source: 'shop' });
    const kept = [first, second].map(({ databases }) => databases[0]?.previous ?? '');
    expect(new Set(kept).size).toBe(2);
    expect(await server.sql('select state from state', kept[0])).toBe('one');
    expect(await server.sql('select state from state', kept[1])).toBe('two');
    expect(await server.sql('select state from state')).toBe('dumped');
  } finally {
    vi.useRealTimers();
  }
});

test('what a restore kept is found by its marks where the record of it is lost', async () => {
  await server.sql(`update state set state = 'kept'`);
  await app.restore({ source: 'shop' });
  await rm(join(app.dir, '.backupd', 'previous'), { recursive: true });
  await app.undo('shop');
  expect(await server.sql('select state from state')).toBe('kept');
});

test('a database that took the place of another during a restore is not swapped away', async () => {
  await server.sql(WAITS, 'slow');
  await server.sql('create table rows as select 2 as n', 'newcomer');
  await app.backedUp('slow');
  const restored = app.restore({ source: 'slow' });
  const refused = expect(restored).rejects.toMatchObject({
    code: 'restore-failed',
    message: expect.stringContaining('database slow has changed') as string,
  });
  await untilLoading(server);
  await server.sql(
    'begin; alter database slow rename to moved; alter database newcomer rename to slow; commit',
  );
  await refused;

  expect(await server.sql('select n from rows', 'slow')).toBe('2');
  expect(await server.sql('select n from rows', 'moved')).toBe('1');
  const beside = `select count(*) from pg_database where datname like 'backupd%'`;
  expect(await server.sql(beside)).toBe('0');
});

test('a prepared transaction is in the way, and named; nothing is changed', async () => {
  await server.sql(`begin; update state set state = 'never'; prepare transaction 'half done'`);
  await expect(app.restore({ source: 'shop' })).rejects.toMatchObject({
    code: 'target-in-use',
    message: expect.stringContaining('prepared transaction "half done"') as string,
  });
  await server.sql(`rollback prepared 'half done'`);
});

test('a live subscription and its slot survive restores, failed and done', async () => {
  await server.sql(
    'create table feed (n int primary key); create publication p for table feed',
    'publisher',
  );
  await server.sql(`select pg_create_logical_replication_slot('live', 'pgoutput')`, 'publisher');
  await server.sql(
    `create table feed (n int primary key);
     create subscription s connection 'dbname=publisher user=postgres' publication p with (create_slot = false, slot_name = live);`,
    'follower',
  );
  await untilFed(1);
  await app.backedUp('follower');
  await app.backedUp('publisher');

  await expect(app.restore({ source: 'follower' })).rejects.toMatchObject({
    code: 'target-in-use',
    message: expect.stringContaining('subscription "s"') as string,
  });
  await expect(app.restore({ source: 'publisher' })).rejects.toMatchObject({
    code: 'target-in-use',
    message: expect.stringContaining('replication slot "live"') as string,
  });

  const beside = await app.restore({ source: 'follower', as: 'beside' });
  expect(beside.warnings).toEqual([
    { code: 'subscription-left-out', message: expect.stringContaining('"s"') as string },
  ]);
  await untilFed(2);

  await server.sql(POISON, 'follower');
  await app.backedUp('follower');
  await expect(app.restore({ source: 'follower', as: 'another' })).rejects.toMatchObject({
    code: 'restore-failed',
  });
  await untilFed(3);
  const before = await fingerprintDatabase(server, 'follower');

  await server.sql('alter subscription s disable', 'follower');
  await expect(app.restore({ source: 'follower' })).rejects.toMatchObject({
    code: 'restore-failed',
  });
  await server.sql('alter subscription s enable', 'follower');
  expect(await fingerprintDatabase(server, 'follower')).toEqual(before);
  await untilFed(4);
});

/** Inserts into the publisher and waits inside the server until the follower has it. */
async function untilFed(n: number): Promise<void> {
  await server.sql(`insert into feed values (${n})`, 'publisher');
  await server.sql(
    `set statement_timeout = '60s';
     do $$ begin while not exists (select from feed where n = ${n}) loop perform pg_sleep(0.02); end loop; end $$`,
    'follower',
  );
}

/** A check that lets a load wait until there is a database `moved`. */
const WAITS = `
  create function wait() returns boolean language plpgsql as $$
    begin
      while current_database() like 'backupd%' and not exists (select from pg_database where datname = 'moved') loop
        perform pg_sleep(0.05);
      end loop;
      return true;
    end $$;
  create table rows (n int check (wait()));
  insert into rows values (1);
`;

/** A check that reads a table whose rows are loaded later. */
const POISON = `
  create table zz_list (x int); insert into zz_list values (1);
  create function is_listed(int) returns boolean language sql as 'select exists (select from public.zz_list where x = $1)';
  create table aa_checked (x int check (is_listed(x))); insert into aa_checked values (1);
`;
