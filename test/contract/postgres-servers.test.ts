import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fingerprintDatabase, fingerprintServer } from '../support/fingerprint.ts';
import { liveApp } from '../support/live-app.ts';
import { startPostgres, type Postgres } from '../support/postgres.ts';
import { docker } from '../support/run-process.ts';
import { waitFor } from '../support/wait-for.ts';

const FIXTURE = join(import.meta.dirname, '..', 'fixtures', 'pg-custom', 'rich.sql');

/** What does not depend on the version that tells it. */
async function contentOf(server: Postgres, database: string): Promise<unknown> {
  const { tables, sequences, largeObjects } = await fingerprintDatabase(server, database);
  return { tables, sequences, largeObjects };
}

test('a backup is restored into newer major versions, never into an older one', async () => {
  await using old = await startPostgres({ image: 'postgres:15' });
  await using middle = await startPostgres({ image: 'postgres:17' });
  await using latest = await startPostgres({ image: 'postgres:18' });
  await old.sql(await readFile(FIXTURE, 'utf8'));
  const content = await contentOf(old, 'shop');
  await using app = await liveApp({
    sources: {
      old: `postgres://${old.name}`,
      middle: `postgres://${middle.name}`,
      latest: `postgres://${latest.name}`,
    },
  });

  await app.backedUp('old');
  const upgraded = await app.restore({ source: 'old', into: middle.name });
  expect(upgraded.warnings).toEqual([]);
  expect(await contentOf(middle, 'shop')).toEqual(content);
  await app.backedUp('middle');
  const again = await app.restore({ source: 'middle', into: latest.name });
  expect(again.warnings).toEqual([]);
  expect(await contentOf(latest, 'shop')).toEqual(content);

  await app.backedUp('latest');
  const before = await fingerprintServer(middle);
  await expect(app.restore({ source: 'latest', into: middle.name })).rejects.toMatchObject({
    code: 'format-unsupported',
    message: expect.stringMatching(/PostgreSQL 18.* runs 17/) as string,
  });
  expect(await fingerprintServer(middle)).toEqual(before);
});

test('a server with another first superuser, roles of its own and no database postgres takes everything', async () => {
  await using server = await startPostgres();
  await server.sql(`
    create role team; create role app login password 'from the backup' in role team; create role lead login password 'new';
    grant team to lead with admin option; set role lead; grant team to app; reset role;
    comment on role app is 'of the backup';
    grant set on parameter log_min_duration_statement to lead;
    create database "of app" owner app; revoke connect on database "of app" from public;
    grant connect on database "of app" to lead;
  `);
  await server.sql('create table t as select 1 as x', 'postgres');
  await using another = await startPostgres({
    env: { POSTGRES_USER: 'admin', POSTGRES_DB: 'shop' },
  });
  await another.sql(`create role app login password 'its own'; drop database postgres;`);
  const own = `select rolpassword from pg_authid where rolname = 'app'`;
  const password = await another.sql(own);
  await using app = await liveApp({
    sources: { db: `postgres://${server.name}`, another: `postgres://${another.name}` },
  });

  await app.backedUp('db');
  const report = await app.restore({ source: 'db', into: another.name });
  expect(report.warnings).toEqual([]);
  const [original, restored] = [await fingerprintServer(server), await fingerprintServer(another)];
  expect(restored.databases['of app']).toEqual(original.databases['of app']);
  expect(restored.databases['postgres']?.tables).toEqual(original.databases['postgres']?.tables);
  expect(await another.sql(own)).toBe(password);
  expect(await another.sql(`select shobj_description('app'::regrole, 'pg_authid')`)).toBe('');
  const memberships = `select distinct roleid::regrole, member::regrole from pg_auth_members where roleid = 'team'::regrole order by 1, 2`;
  expect(await another.sql(memberships)).toBe(await server.sql(memberships));
  const parameters = 'select parname, paracl::text from pg_parameter_acl';
  expect(await another.sql(parameters)).toMatch(/^log_min_duration_statement\|.*\blead=s\//);
  // The password of a role that was created is that of the backup.
  const leads = `select rolpassword from pg_authid where rolname = 'lead'`;
  expect(await another.sql(leads)).toBe(await server.sql(leads));

  await app.undo('db');
  expect(await another.sql(`select count(*) from pg_database where datname = 'postgres'`)).toBe(
    '0',
  );
  const manifest = await app.backedUp('another');
  expect(manifest.databases).toEqual(['shop']);
});

test('a standby is backed up, and not restored into', async () => {
  await using primary = await startPostgres();
  const loaded = await primary.sql('select pg_conf_load_time()');
  await primary.sql(`
    create table t as select n from generate_series(1, 1000) n;
    create unlogged table u as select n from generate_series(1, 10) n;
    copy (select) to program $$cat; echo 'host replication all all trust' >>"$PGDATA/pg_hba.conf"$$; select pg_reload_conf();`);
  // The server is told to reload, and does so in its own time.
  await waitFor('reload', async () => (await primary.sql('select pg_conf_load_time()')) !== loaded);
  const address = await docker(
    'inspect',
    '--format',
    '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}',
    primary.name,
  );
  const follow = `
    install -d -o postgres -g postgres -m 700 "$PGDATA" &&
    as_postgres="setpriv --reuid postgres --regid postgres --init-groups" &&
    $as_postgres pg_basebackup --host "$0" --username postgres --checkpoint fast --write-recovery-conf --pgdata "$PGDATA" &&
    exec $as_postgres postgres`;
  await using standby = await startPostgres({
    entrypoint: 'bash',
    args: ['-c', follow, address],
  });
  await using app = await liveApp({ sources: { standby: `postgres://${standby.name}/shop` } });
  expect(await standby.sql('select pg_is_in_recovery()')).toBe('t');

  const manifest = await app.backedUp('standby');
  expect(manifest.facts.databases['shop']?.tables).toMatchObject({
    'public.t': { rows: 1000, exact: true },
    'public.u': { exact: false },
  });
  await expect(app.restore({ source: 'standby' })).rejects.toMatchObject({
    code: 'target-unavailable',
    message: expect.stringContaining('is a standby') as string,
  });
  await app.restore({ source: 'standby', into: primary.name });
  expect(await primary.sql('select count(*) from t; select count(*) from u')).toBe('1000\n0');
});

test('a server without zstd beside it is restored, too', async () => {
  await using server = await startPostgres({ image: 'backupd-test/postgres-bare:17' });
  await server.sql('create table t as select n, md5(n::text) from generate_series(1, 20000) as n');
  await using app = await liveApp({ sources: { db: `postgres://${server.name}/shop` } });
  await app.backedUp('db');
  await server.sql('drop table t');
  await app.restore({ source: 'db' });
  expect(await server.sql('select count(*) from t')).toBe('20000');
});
