import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blocks, readDocuments } from '../support/documents.ts';
import { fingerprintDatabase, fingerprintServer } from '../support/fingerprint.ts';
import { liveApp, type LiveApp } from '../support/live-app.ts';
import { startPostgres, type Postgres } from '../support/postgres.ts';
import { runProcess } from '../support/run-process.ts';

const stack = new AsyncDisposableStack();
let server: Postgres;
let app: LiveApp;

beforeAll(async () => {
  server = stack.use(await startPostgres());
  await server.sql(`
    create role clerk login password 'secret'; create role staff; grant staff to clerk;
    alter role clerk set work_mem = '5MB'; alter role all set statement_timeout = '1h';
    create table orders (id serial primary key, what text);
    insert into orders (what) select md5(n::text) from generate_series(1, 5000) n;
    create index on orders (what); alter table orders owner to clerk; grant select on orders to staff;
    select lo_from_bytea(4711, 'a large object');
    alter database shop owner to clerk; alter database shop set work_mem = '6MB';
  `);
  app = stack.use(await liveApp({ sources: { db: `postgres://${server.name}` } }));
});

afterAll(async () => {
  await stack.disposeAsync();
});

/** What the guide for the bad night says under this heading, as one script; its first block names what the reader has. */
async function documentedScript(heading: string): Promise<string> {
  const documents = await readDocuments();
  const guide = documents.find(({ path }) => path === 'docs/restore.md')?.text ?? '';
  const [, under = ''] = guide.split(`\n${heading}\n`);
  return blocks(under.split('\n## ')[0] ?? '', 'sh')
    .slice(1)
    .join('\n');
}

test('a backup is restored without backupd, by the commands of the guide', async () => {
  const { id } = await app.backedUp('db');
  await using another = await startPostgres();
  const script = await documentedScript('## Without backupd');
  expect(script.match(/pg_restore/g)).toHaveLength(2);

  const env = { BACKUPS: app.dir, DB: another.name, ID: id };
  const done = await runProcess(['sh', '-e', '-c', script], { env });

  expect(done, done.stderr).toMatchObject({ exitCode: 0 });
  const [original, restored] = [await fingerprintServer(server), await fingerprintServer(another)];
  expect(restored.databases['shop']).toEqual(original.databases['shop']);
  expect(restored.databases['shop_look']?.tables).toEqual(original.databases['shop']?.tables);
  // Its old content, put aside by the first of these commands.
  expect(restored.databases['shop_broken']?.tables).toEqual([]);
  expect(restored.settingsForAll).toEqual(original.settingsForAll);
  expect(restored.memberships).toEqual(original.memberships);
  expect(withoutFirst(restored.roles)).toEqual(withoutFirst(original.roles));
  // The two lists of hashes are the same.
  const hashes = texts(done.stdout.matchAll(/^([0-9a-f]{64}) {2}\S+$/gm));
  const recorded = texts(done.stdout.matchAll(/"sha256": *"([0-9a-f]{64})"/g));
  expect(hashes.toSorted()).toEqual(recorded.toSorted());
  expect(hashes.length).toBeGreaterThan(2);
});

test.each([
  ['gzip:6', 'gzip -dc "$0/shop.dump.gz"'],
  ['none', 'cat "$0/shop.dump"'],
])('an archive that is compressed by %s opens with stock tools, too', async (compression, open) => {
  await using another = await liveApp({
    sources: { db: `postgres://${server.name}/shop` },
    env: { BACKUPD_COMPRESSION: compression },
  });
  const { id } = await another.backedUp('db');
  await server.sql('drop database if exists opened; create database opened');
  const script = `${open} | docker exec -i "$1" pg_restore -U postgres --exit-on-error -d opened`;
  const folder = join(another.dir, 'db', id);
  const done = await runProcess(['sh', '-c', script, folder, server.name]);
  expect(done).toMatchObject({ exitCode: 0, stderr: '' });
  const { tables } = await fingerprintDatabase(server, 'shop');
  expect((await fingerprintDatabase(server, 'opened')).tables).toEqual(tables);
});

function texts(matches: Iterable<RegExpMatchArray>): string[] {
  return Array.from(matches, ([, text = '']) => text);
}

/** The first superuser is each server's own. */
function withoutFirst(roles: readonly unknown[]): readonly unknown[] {
  return roles.filter((role) => (role as { readonly rolname: string }).rolname !== 'postgres');
}
