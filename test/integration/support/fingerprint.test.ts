import { expect, test } from 'vitest';
import { fingerprintDatabase, fingerprintServer } from '../../support/fingerprint.ts';
import { startPostgres, type Postgres } from '../../support/postgres.ts';

const NAME = '-a=b "c\' dé';
const QUOTED = `"${NAME.replaceAll('"', '""')}"`;

async function fill(server: Postgres): Promise<void> {
  await server.sql(`
    create role owner_of_it login password 'secret';
    create database ${QUOTED} owner owner_of_it;
    alter database ${QUOTED} set work_mem = '5MB';
  `);
  await server.sql(CONTENT, NAME);
}

const CONTENT = `
  create table plain (id int primary key, "whole_row" text, at timestamptz default now());
  insert into plain select n, 'row ' || n from generate_series(1, 1000) as n;
  create table "Odd
name" ();
  create table parts (id int, x float8) partition by range (id);
  create table parts_1 partition of parts for values from (0) to (10);
  insert into parts values (1, 0.1), (2, 'NaN');
  create sequence counter;
  select nextval('counter');
  grant select on plain to owner_of_it;
  select lo_from_bytea(4711, 'large');
`;

test('the fingerprint of a database sees every change to it', async () => {
  await using server = await startPostgres();
  await fill(server);
  let before = await fingerprintDatabase(server, NAME);
  expect(await fingerprintDatabase(server, NAME)).toEqual(before);

  for (const change of [
    `update plain set whole_row = 'changed' where id = 500`,
    `insert into plain values (1001, 'one more')`,
    `delete from parts where id = 2`,
    `select nextval('counter')`,
    `revoke select on plain from owner_of_it`,
    `alter table plain owner to owner_of_it`,
    `create index on plain (at)`,
    `select lo_put(4711, 0, 'L')`,
    `alter database ${QUOTED} set work_mem = '6MB'`,
    `alter database ${QUOTED} owner to postgres`,
    `revoke connect on database ${QUOTED} from public`,
    `comment on database ${QUOTED} is 'changed'`,
  ]) {
    await server.sql(change, NAME);
    const after = await fingerprintDatabase(server, NAME);
    expect.soft(after, change).not.toEqual(before);
    before = after;
  }
});

test('the fingerprint of a server sees its roles, and a dumped and restored database is the same', async () => {
  await using server = await startPostgres();
  await fill(server);
  const before = await fingerprintServer(server);
  expect(Object.keys(before.databases).toSorted()).toEqual([NAME, 'postgres', 'shop']);

  const copied = await server.exec([
    'sh',
    '-c',
    `export PGUSER=postgres; PGDATABASE="$0" pg_dump -Fc >/tmp/dump &&
     dropdb -f -- "$0" && pg_restore --create -d postgres /tmp/dump`,
    NAME,
  ]);
  expect(copied).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await fingerprintServer(server)).toEqual(before);

  for (const [part, change] of [
    ['roles', `alter role owner_of_it password 'other'`],
    ['memberships', 'grant pg_monitor to owner_of_it'],
    ['settingsForAll', `alter role all set work_mem = '7MB'`],
    ['parameters', 'grant set on parameter log_min_messages to owner_of_it'],
  ] as const) {
    const unchanged = await fingerprintServer(server);
    await server.sql(change);
    const { [part]: changed, ...rest } = await fingerprintServer(server);
    expect(changed).not.toEqual(unchanged[part]);
    expect({ ...rest, [part]: unchanged[part] }).toEqual(unchanged);
  }
});
