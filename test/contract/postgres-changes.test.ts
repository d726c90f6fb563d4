import { afterAll, beforeAll, expect, test } from 'vitest';
import { fingerprintDatabase } from '../support/fingerprint.ts';
import { liveApp, type LiveApp } from '../support/live-app.ts';
import { startPostgres, type Postgres } from '../support/postgres.ts';

/** What others do between the dump's snapshot and its lock, and the rows that a dump must then have; null: no table. */
const CHANGES: readonly (readonly [string, string, number | null])[] = [
  ['truncates and fills it', 'truncate victim; insert into victim values (1), (2), (3)', 3],
  ['rewrites it', 'alter table victim alter n type text', 1000],
  ['drops it', 'drop table victim', null],
];

const stack = new AsyncDisposableStack();
let server: Postgres;
let app: LiveApp;

beforeAll(async () => {
  server = stack.use(
    await startPostgres({ args: ['-c', 'fsync=off', '-c', 'max_prepared_transactions=5'] }),
  );
  for (const name of ['changed', 'written', 'idle', 'prepared']) {
    await server.sql(`create database ${name}`);
  }
  app = stack.use(
    await liveApp({
      sources: {
        changed: `postgres://${server.name}/changed`,
        written: `postgres://${server.name}/written`,
        idle: `postgres://${server.name}/idle`,
        prepared: `postgres://${server.name}/prepared`,
      },
    }),
  );
});

afterAll(async () => {
  await stack.disposeAsync();
});

/** Waits inside the server until a dump of ours waits for a lock. */
const UNTIL_DUMP_WAITS = `
  do $$ begin
    while not exists (select from pg_locks l join pg_stat_activity a on a.pid = l.pid
      where not l.granted and a.application_name like 'backupd:%' and a.datname = current_database()) loop
      perform pg_stat_clear_snapshot(); perform pg_sleep(0.02);
    end loop;
  end $$;`;

test.each(CHANGES)(
  'a table is dumped as it is when another session %s between snapshot and lock',
  async (_what, change, rows) => {
    await server.sql(
      'drop table if exists victim; create table victim as select n from generate_series(1, 1000) n',
      'changed',
    );
    const locked = server.sql(
      `begin; lock table victim in access exclusive mode; ${UNTIL_DUMP_WAITS} ${change}; commit;`,
      'changed',
    );
    await untilLocked('changed');
    const manifest = await app.backedUp('changed');
    await locked;
    const { tables } = manifest.facts.databases['changed'] ?? {};
    expect(tables).toEqual(rows === null ? {} : { 'public.victim': { rows, exact: true } });

    const before = await fingerprintDatabase(server, 'changed');
    await app.restore({ source: 'changed', at: manifest.id });
    expect(await fingerprintDatabase(server, 'changed')).toEqual(before);
  },
);

/** Waits inside the server until somebody holds the table for itself. */
async function untilLocked(database: string): Promise<void> {
  await server.sql(
    `do $$ begin
      while not exists (select from pg_locks where relation = 'victim'::regclass and mode = 'AccessExclusiveLock' and granted) loop
        perform pg_sleep(0.02);
      end loop;
    end $$`,
    database,
  );
}

test('what is written during a dump is in it wholly or not at all, and facts agree', async () => {
  await server.sql(
    `create table orders (id bigserial primary key, at timestamptz default now());
     create table lines (order_id bigint references orders, n int);
     create table stop ();
     create procedure write_orders() language plpgsql as $$
     declare o bigint;
     begin
       while not exists (select from stop) loop
         insert into orders default values returning id into o;
         insert into lines select o, n from generate_series(1, 3) n;
         commit;
       end loop;
     end $$;`,
    'written',
  );
  const writing = server.sql('call write_orders()', 'written');
  const manifest = await app.backedUp('written');
  await server.sql('insert into stop default values', 'written');
  await writing;

  await app.restore({ source: 'written', as: 'written as dumped' });
  const [orders, lines, last] = (
    await server.sql(
      `select count(*) from orders; select count(*) from lines; select last_value from orders_id_seq`,
      'written as dumped',
    )
  ).split('\n');
  expect(Number(orders)).toBeGreaterThan(0);
  expect(Number(lines)).toBe(Number(orders) * 3);
  // A sequence runs ahead of the snapshot, never behind it.
  expect(Number(last)).toBeGreaterThanOrEqual(Number(orders));
  const facts = manifest.facts.databases['written'];
  expect(facts?.tables['public.orders']).toEqual({ rows: Number(orders), exact: true });
  expect(facts?.sequences['public.orders_id_seq']).toBe(last);
});

test('what a dump waits for is named with its holder', async () => {
  const job = { timeoutMs: 20_000 };
  for (const name of ['idle', 'prepared']) {
    await server.sql('create schema app; create table app."The victim" (n int)', name);
  }
  const lock = 'lock table app."The victim" in access exclusive mode';
  await server.sql(`begin; ${lock}; prepare transaction 'left behind'`, 'prepared');
  const held = server.exec(['psql', '-f', '-'], {
    env: { PGUSER: 'postgres', PGDATABASE: 'idle', PGAPPNAME: 'a forgotten console' },
    // Idle in its transaction: it waits for a file.
    input: `begin; ${lock};\n\\! while [ ! -e /tmp/let-go ]; do sleep 0.1; done\n`,
  });
  await server.sql(
    `do $$ begin
      while not exists (select from pg_locks where relation = 'app."The victim"'::regclass and granted) loop perform pg_sleep(0.02); end loop;
    end $$`,
    'idle',
  );

  const [idle, prepared] = await Promise.all([
    app.backUp('idle', { job }),
    app.backUp('prepared', { job }),
  ]);
  await server.exec(['touch', '/tmp/let-go']);
  await held;
  await server.sql(`rollback prepared 'left behind'`, 'prepared');

  expect(idle.failure).toMatchObject({ code: 'timeout' });
  expect(idle.failure?.message).toMatch(
    /lock on app\."The victim", held by session \d+ \(a forgotten console, user postgres, idle in transaction, since /,
  );
  expect(prepared.failure).toMatchObject({ code: 'timeout' });
  expect(prepared.failure?.message).toMatch(
    /lock on app\."The victim", held by prepared transaction left behind/,
  );
});
