import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from 'vitest';
import { fingerprintServer } from '../support/fingerprint.ts';
import { startPostgres, waitUntilReady, type Postgres } from '../support/postgres.ts';
import { hinderTool } from '../support/tool-stand-in.ts';
import { sourceContract, type ContractServer, type EngineContract } from './source-contract.ts';

const FIXTURE = join(import.meta.dirname, '..', 'fixtures', 'pg-custom', 'rich.sql');

describe.each([15, 17, 18])('PostgreSQL %i', (major) => {
  sourceContract(postgresContract(major));
});

function postgresContract(major: number): EngineContract {
  return {
    engine: 'postgres',
    start: async () =>
      contractServer(
        await startPostgres({ image: `postgres:${major}`, env: { POSTGRES_DB: 'postgres' } }),
      ),
    rich: { database: 'shop', facts: RICH_FACTS },
    other: 'Other "db"',
  };
}

/** Counted by hand in rich.sql and in ROLES_AND_MORE. */
const RICH_FACTS: EngineContract['rich']['facts'] = {
  tables: {
    'app.users': { rows: 5, exact: true },
    '"We ird"."Ta.b""le é"': { rows: 2, exact: true },
    'public.empty': { rows: 0, exact: true },
    'public.events_2026': { rows: 1, exact: true },
    'public.events_rest': { rows: 1, exact: true },
    'public.cache': { rows: 1, exact: true },
    'public.numbers': { rows: 5000, exact: true },
  },
  sequences: {
    'app.users_id_seq': '5',
    '"We ird"."Ta.b""le é_a_seq"': '2',
    'public.never_called': '7 (not called)',
    'public.going_down': '-4',
    '"We ird"."se\'q"': '9007199254740993',
  },
  objects: {
    views: 1,
    'materialized views': 2,
    'partitioned tables': 1,
    'foreign tables': 1,
    indexes: 4,
    schemas: 3,
    functions: 3,
    types: 2,
    triggers: 1,
    policies: 1,
    'event triggers': 1,
    extensions: 2,
    publications: 1,
    'large objects': 3,
  },
};

const ROLES_AND_MORE = `
  alter role app login password 'secret' connection limit 7;
  alter role app set work_mem = '5MB';
  create role team;
  grant team to app with admin option;
  grant team to "Odd Role";
  comment on role team is 'the
team';
  alter role all set statement_timeout = '1h';
  alter database shop owner to app;
  alter database shop set search_path = app, "We ird", public;
  alter role app in database shop set work_mem = '6MB';
  revoke connect, temporary on database shop from public;
  grant connect on database shop to "Odd Role" with grant option;
  comment on database shop is 'what is
sold';
  alter database shop connection limit 50;
  create table public.numbers (n int, t text);
  insert into public.numbers select n, md5(n::text) || md5((-n)::text) from generate_series(1, 5000) n;
`;

function contractServer(server: Postgres): ContractServer {
  return {
    ...server,
    async fill() {
      await server.sql('create database shop; create database "Other ""db""";');
      await server.sql(await readFile(FIXTURE, 'utf8'), 'shop');
      await server.sql(ROLES_AND_MORE, 'shop');
      await server.sql('create table t as select 1 as x; grant select on t to app', 'Other "db"');
      await server.sql('create table public.in_postgres as select 7 as x', 'postgres');
    },
    async change() {
      await server.sql('drop database "Other ""db"""');
      await server.sql('update public.in_postgres set x = 8', 'postgres');
      await server.sql(CHANGES, 'shop');
    },
    async empty() {
      await server.sql('drop table public.in_postgres', 'postgres');
      await server.sql('drop table t', 'Other "db"');
      await server.sql(
        'drop schema app cascade; drop schema "We ird" cascade; drop schema public cascade',
        'shop',
      );
    },
    async poison(database) {
      await server.sql(POISON, database);
    },
    async fingerprint() {
      const { roles, ...rest } = await fingerprintServer(server);
      return { ...rest, roles: roles.map((role) => withoutSecret(server.user, role)) };
    },
    async databases() {
      return (await server.sql('select datname from pg_database order by 1', 'template1')).split(
        '\n',
      );
    },
    async lockOut() {
      await server.sql(
        `alter role ${server.user} password 'another'; ${hbaEdit('s/trust$/scram-sha-256/')}`,
      );
      return {
        async [Symbol.asyncDispose]() {
          const env = { PGPASSWORD: 'another', PGUSER: server.user, PGDATABASE: 'postgres' };
          const sql = `alter role ${server.user} password '${server.password}'; ${hbaEdit('/^local/s/scram-sha-256$/trust/')}`;
          await server.exec(['psql', '-f', '-'], { env, input: sql });
        },
      };
    },
    hinder: async (how) => hinderTool(server, 'pg_dump', how),
    untilReady: async () => waitUntilReady(server),
  };
}

/** Edits the server's access rules from within. */
function hbaEdit(sed: string): string {
  return `copy (select) to program $$cat; sed -i '${sed}' "$PGDATA/pg_hba.conf"$$; select pg_reload_conf();`;
}

/** A password is hashed with a salt, so it is another one in each server. */
function withoutSecret(user: string, role: unknown): unknown {
  const row = role as { readonly rolname: string };
  return row.rolname === user ? { ...row, rolpassword: null } : row;
}

const CHANGES = `
  drop table app.users cascade;
  update "We ird"."Ta.b""le é" set b = 'changed';
  truncate public.events;
  select nextval('public.never_called');
  select lo_unlink(4000000000);
  create table public.added as select 1 as x;
  alter function app.f(int) owner to "Odd Role";
  alter database shop reset search_path;
  alter database shop owner to postgres;
  comment on database shop is null;
`;

/** A check that reads a table whose rows are loaded later. */
const POISON = `
  create table public.zz_list (x int);
  insert into public.zz_list values (1);
  create function public.is_listed(int) returns boolean language sql as 'select exists (select from public.zz_list where x = $1)';
  create table public.aa_checked (x int check (public.is_listed(x)));
  insert into public.aa_checked values (1);
`;
