import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCommandBox, type CommandBox } from '../support/command-box.ts';
import {
  fingerprintMysql,
  listDatabases,
  type MysqlFingerprint,
} from '../support/mysql-fingerprint.ts';
import { startMysql, type Mysql } from '../support/mysql.ts';
import { killIn, PROGRAM } from '../support/processes.ts';
import { docker } from '../support/run-process.ts';
import { waitFor } from '../support/wait-for.ts';

/** `shop` has what a swap has to take care of; each row of `ticks` is counted by a trigger, and a writer adds some all the while. */
const SHOP = String.raw`
  create table customers (id int primary key, name varchar(50));
  insert into customers values (1, 'Ann'), (2, 'Bob');
  create table orders (id int auto_increment primary key, customer int, cents int,
    constraint orders_customer foreign key (customer) references customers (id));
  insert into orders (customer, cents) values (1, 10), (2, 20);
  create table ticks (n bigint auto_increment primary key); create table counted (n bigint primary key);
  delimiter //
  create trigger count_ticks after insert on ticks for each row insert into counted values (new.n)//
  create trigger no_debts before insert on orders for each row set new.cents = abs(new.cents)//
  create procedure total() select sum(cents) from orders//
  create event nightly on schedule every 1 day starts '2030-01-01 00:00:00' do delete from orders where id = 0//
  delimiter ;
  create view rich as select customer from orders group by customer having sum(cents) > 15;
  create view richest as select max(customer) as customer from rich;
  create user app@'%' identified by 'x'; grant execute on procedure shop.total to app@'%';
  create database crm; create table crm.people (id int primary key); insert into crm.people values (1), (2), (3);
`;

const CHANGES = `
  update customers set name = 'changed' where id = 1; delete from orders where id = 2;
  create table added (id int); insert into added values (1);
  create trigger added_too before insert on added for each row set new.id = 2;
  drop view richest; drop trigger no_debts; alter event nightly on schedule every 2 day starts '2030-01-01 00:00:00';
  insert into crm.people values (4);
`;

const WRITTEN = ['ticks', 'counted'];
const WRITER_ERRORS = '/tmp/writer-errors';

interface Scene extends CommandBox {
  readonly server: Mysql;
  readonly id: string;
  readonly backedUp: MysqlFingerprint;
  readonly changed: MysqlFingerprint;
}

async function openScene(image: string): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startMysql({ image }));
  await server.sql(SHOP);
  const engine = image.split(':')[0] ?? '';
  const box = stack.use(await openCommandBox({ BACKUPD_SOURCES: `db=${engine}://${server.name}` }));
  const backup = await box.json<{ readonly runs: readonly { readonly id: string }[] }>([
    'backup',
    'db',
    '--pin',
  ]);
  const backedUp = await fingerprintMysql(server, { but: WRITTEN });
  await server.sql(CHANGES);
  const changed = await fingerprintMysql(server, { but: WRITTEN });
  expect(changed).not.toEqual(backedUp);
  await startWriter(server);
  const kept = stack.move();
  return {
    ...box,
    server,
    id: backup.runs[0]?.id ?? '',
    backedUp,
    changed,
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

/** Inserts rows for as long as the server lives, whatever any of them meets with; keeps what was refused. */
async function startWriter(server: Mysql): Promise<void> {
  const loop = `yes 'insert into ticks () values (); do sleep(0.02);' |
    "$0" -uroot --force --unbuffered shop 2>${WRITER_ERRORS}`;
  const env = ['--env', `MYSQL_PWD=${server.password}`, '--env', 'HOME=/nonexistent'];
  await docker('exec', '--detach', ...env, server.name, 'sh', '-c', loop, server.client);
  await waitFor(
    'the writer',
    async () => Number(await server.sql('select count(*) from ticks')) > 5,
  );
}

async function done(scene: Scene, args: readonly string[]): Promise<void> {
  const ended = await scene.backupd(args);
  expect(ended.exitCode, ended.stderr).toBe(0);
}

/** Runs a command that dies at a step, and sees that it did. */
async function dieAt(step: string, scene: Scene, args: readonly string[]): Promise<void> {
  const marker = join(scene.dir, '.killed-at');
  await rm(marker, { force: true });
  const died = await scene.backupd(args, { killAt: step });
  expect(died, died.stderr).toMatchObject({ exitCode: 137 });
  expect(await readFile(marker, 'utf8')).toBe(step.split(':')[0]);
}

type State = 'backed up' | 'changed';

/** Wholly the one or wholly the other; no row was ever written without its trigger, in what is in use and in what is kept. */
async function readState({ server, backedUp, changed }: Scene): Promise<State> {
  const found = await fingerprintMysql(server, { but: WRITTEN });
  const state = JSON.stringify(found).includes('added_too') ? 'changed' : 'backed up';
  expect(found).toEqual(state === 'changed' ? changed : backedUp);
  for (const name of await listDatabases(server)) {
    if (name.startsWith('shop')) {
      // In one statement: the writer goes on.
      const uncounted = await server.sql(
        'select count(*) from ticks t left join counted c on c.n = t.n where c.n is null',
        name,
      );
      expect(uncounted, `rows of ${name} without their trigger`).toBe('0');
    }
  }
  return state;
}

async function keptNames({ server }: Scene): Promise<readonly string[]> {
  return (await listDatabases(server)).filter((name) => name.includes('_before_'));
}

/** Nothing of ours is left in the databases in use, and nothing that was loaded beside them. */
async function expectNothingLeft({ server }: Scene): Promise<void> {
  const left = await server.sql(
    `select table_schema, table_name from information_schema.tables
      where table_schema not like '%\\_before\\_%' and (table_name like '\\_backupd%' or table_schema like '\\_backupd%')
    union all select trigger_schema, trigger_name from information_schema.triggers where trigger_name like '\\_backupd%'
    union all select schema_name, '' from information_schema.schemata where schema_name like '\\_backupd%'`,
    'mysql',
  );
  expect(left).toBe('');
}

async function reset(scene: Scene): Promise<void> {
  if ((await readState(scene)) === 'backed up') {
    await done(scene, ['restore', 'db', '--undo']);
    expect(await readState(scene)).toBe('changed');
  }
  if ((await keptNames(scene)).length > 0) {
    await done(scene, ['restore', 'db', '--drop-previous', '--yes']);
  }
}

/** Whether some session of the server is at this. */
async function doesServer(server: Mysql, what: string): Promise<boolean> {
  const found = await server.sql(
    `select count(*) from information_schema.processlist where ${what}`,
    'mysql',
  );
  return found !== '0';
}

const SWAP_WAITS = `state like '%metadata lock%' and info regexp '^(rename|lock) table'`;
const NEXT_LIFE_WAITS = `info like 'select%get_lock(%' and id <> connection_id()`;
const HOLDS = `info like 'select sleep(999)%' and id <> connection_id()`;

/** Somebody's transaction, which holds a lock until it is disposed. */
async function openTransaction(server: Mysql): Promise<AsyncDisposable> {
  const script = `printf 'begin; select count(*) from people; select sleep(999);' | "$0" -uroot --unbuffered crm`;
  const env = ['--env', `MYSQL_PWD=${server.password}`, '--env', 'HOME=/nonexistent'];
  await docker('exec', '--detach', ...env, server.name, 'sh', '-c', script, server.client);
  await waitFor('transaction', async () => doesServer(server, HOLDS));
  return {
    async [Symbol.asyncDispose]() {
      const ids = await server.sql(
        `select id from information_schema.processlist where ${HOLDS}`,
        'mysql',
      );
      for (const id of ids.split('\n').filter((one) => one !== '')) {
        await server.sql(`kill ${id}`, 'mysql');
      }
    },
  };
}

describe.each(['mysql:9.7', 'mariadb:11.8'])('%s', (image) => {
  let scene: Scene;

  beforeAll(async () => {
    scene = await openScene(image);
  });

  afterAll(async () => {
    await scene[Symbol.asyncDispose]();
  });

  test.each<readonly [string, State | 'either']>([
    ['beside-built', 'changed'],
    ['swap-prepared', 'changed'],
    ['swap-sent', 'either'],
    ['swap-moved', 'backed up'],
    ['swap-finished', 'backed up'],
  ])('killed at %s of a restore: both databases are as they were %s', async (step, expected) => {
    await reset(scene);
    await dieAt(step, scene, ['restore', 'db', '--at', scene.id, '--yes']);
    await done(scene, ['backup', 'db']);
    const state = await readState(scene);
    expect([state, 'either']).toContain(expected);
    expect(await keptNames(scene)).toHaveLength(state === 'backed up' ? 2 : 0);
    await expectNothingLeft(scene);
  });

  test.each<readonly [string, State | 'either']>([
    ['swap-prepared', 'backed up'],
    ['swap-moved', 'changed'],
  ])('killed at %s of an undo: both databases are as they were %s', async (step, expected) => {
    await reset(scene);
    await done(scene, ['restore', 'db', '--at', scene.id, '--yes']);
    await dieAt(step, scene, ['restore', 'db', '--undo', '--yes']);
    await done(scene, ['backup', 'db']);
    const state = await readState(scene);
    expect([state, 'either']).toContain(expected);
    expect(await keptNames(scene)).toHaveLength(2);
    await expectNothingLeft(scene);
  });

  test('killed while the server waits in the swap: the next life waits for what becomes of it', async () => {
    await reset(scene);
    await using open = await openTransaction(scene.server);
    const died = scene.backupd(['restore', 'db', '--at', scene.id, '--yes']);
    await waitFor('swap that waits', async () => doesServer(scene.server, SWAP_WAITS), 60_000);
    await killIn(scene.box.name, `node *${PROGRAM} restore`);
    expect(await died).toMatchObject({ exitCode: 137 });
    const next = scene.backupd(['backup', 'db']);
    // It ends the dead one's client; then it waits for the session, unless the server has ended that as well.
    await waitFor(
      'next life',
      async () =>
        (await doesServer(scene.server, NEXT_LIFE_WAITS)) ||
        !(await doesServer(scene.server, SWAP_WAITS)),
      60_000,
    );
    await open[Symbol.asyncDispose]();
    expect((await next).exitCode).toBe(0);
    const state = await readState(scene);
    expect(await keptNames(scene)).toHaveLength(state === 'backed up' ? 2 : 0);
    await expectNothingLeft(scene);
  });

  test('a transaction that stays open refuses the swap by its name, and nothing is changed', async () => {
    await reset(scene);
    {
      await using _open = await openTransaction(scene.server);
      const refused = await scene.backupd(['restore', 'db', '--at', scene.id, '--yes']);
      expect(refused.exitCode, refused.stderr).toBe(24);
      expect(refused.stderr).toMatch(/transactions that are open: connection \d+ of "root"/);
    }
    expect(await readState(scene)).toBe('changed');
    expect(await keptNames(scene)).toEqual([]);
    await expectNothingLeft(scene);
  });

  test('all the while clients could write, and saw no table missing', async () => {
    const { stdout } = await scene.server.exec(['cat', WRITER_ERRORS]);
    expect(stdout).toBe('');
    expect(Number(await scene.server.sql('select count(*) from ticks'))).toBeGreaterThan(50);
  });
});
