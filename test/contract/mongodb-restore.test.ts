import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../../src/core/manifest.ts';
import { liveApp, type LiveApp } from '../support/live-app.ts';
import { containing } from '../support/matchers.ts';
import {
  fingerprintMongodb,
  listEverything,
  startMongodb,
  type Mongodb,
} from '../support/mongodb.ts';
import { runProcess } from '../support/run-process.ts';

let server: Mongodb;
let app: LiveApp;
let backup: Manifest;

beforeAll(async () => {
  server = await startMongodb();
  await server.js(`
    db.customers.insertMany([{ _id: 1, name: 'Ann' }, { _id: 2, name: 'Bob' }]);
    db.orders.insertOne({ _id: 1 });
    db.pages.insertOne({ _id: 1 });
    m.getDB('wiki').pages.insertMany([{ _id: 1 }, { _id: 2 }]);`);
  app = await liveApp({ sources: { db: `mongodb://${server.name}` } });
  backup = await app.backedUp('db');
});

afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function expectNothingLeft(): Promise<void> {
  expect(await listEverything(server)).toEqual(['shop', 'wiki']);
}

test('a swap that the server refuses half-way is taken back, whatever was renamed before', async () => {
  await server.js(
    `db.customers.updateOne({ _id: 1 }, { $set: { name: 'changed' } }); db.added.insertOne({ _id: 1 })`,
  );
  const before = await fingerprintMongodb(server);
  await server.sql(`
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no such luck'; end $$;
    create trigger refuse before update on documentdb_api_catalog.collections for each row
      when (old.collection_name ~ '^backupd_new_.*pages$' and old.database_name = 'wiki') execute function refuse();`);
  await expect(app.restore({ source: 'db' })).rejects.toMatchObject({
    code: 'restore-failed',
    message: containing('no such luck'),
    hint: containing('untouched'),
  });
  await server.sql(
    'drop trigger refuse on documentdb_api_catalog.collections; drop function refuse',
  );
  expect(await fingerprintMongodb(server)).toEqual(before);
  await expectNothingLeft();
});

test('where a server copies, and refuses that half-way, the half is not taken for what was put aside', async () => {
  await server.js(`
    db.getCollection('fs.files').insertMany([{ _id: 1, n: 1 }, { _id: 2, n: 2 }]);
    db.getCollection('fs.files').createIndex({ n: 1 });`);
  const { id } = await app.backedUp('db');
  await server.js(`db.getCollection('fs.files').insertOne({ _id: 3, n: 3 })`);
  const before = await fingerprintMongodb(server);
  await server.sql(`
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no such luck'; end $$;
    create function is_kept(bigint) returns bool language sql as
      $$ select collection_name ~ '^backupd_before_' from documentdb_api_catalog.collections where collection_id = $1 $$;
    create trigger refuse before insert on documentdb_api_catalog.collection_indexes for each row
      when ((new.index_spec).index_name = 'n_1' and is_kept(new.collection_id)) execute function refuse();`);
  await expect(app.restore({ source: 'db', at: id })).rejects.toMatchObject({
    code: 'restore-failed',
    message: containing('no such luck'),
  });
  await server.sql(`
    drop trigger refuse on documentdb_api_catalog.collection_indexes; drop function refuse; drop function is_kept`);
  expect(await fingerprintMongodb(server)).toEqual(before);
  await expectNothingLeft();
  await server.js(`db.getCollection('fs.files').drop()`);
});

test('an undo is refused where what was kept, or what is in use, is not as the restore left it', async () => {
  await app.restore({ source: 'db' });
  const kept = (await listEverything(server)).find((name) => name.endsWith('_customers')) ?? '';
  await server.js(`db.getCollection(${JSON.stringify(kept.slice('shop.'.length))}).drop()`);
  await expect(app.undo('db')).rejects.toMatchObject({
    code: 'nothing-to-undo',
    message: containing('is not there any more'),
  });
  await app.dropPrevious('db');
  await expectNothingLeft();
});

test('what a server cannot rename or name is refused before anything is done', async () => {
  const path = join(app.dir, 'db', backup.id, 'manifest.json');
  const written = await readFile(path, 'utf8');
  const engineFacts = { databases: { wiki: { views: [], timeSeries: ['weather'] } } };
  await writeFile(path, JSON.stringify({ ...backup, engineFacts }));
  await expect(app.plan({ source: 'db', databases: ['wiki'] })).rejects.toMatchObject({
    code: 'restore-failed',
    message: containing('"wiki.weather" is a time series'),
  });
  await app.plan({ source: 'db', databases: ['shop'] });
  const facts = { ...backup.facts, serverVersion: '8.0.4' };
  await writeFile(path, JSON.stringify({ ...backup, facts }));
  await expect(app.plan({ source: 'db' })).rejects.toMatchObject({ code: 'format-unsupported' });
  await writeFile(path, written);

  for (const as of ['a b', 'a.b', 'x'.repeat(64)]) {
    await expect(app.plan({ source: 'db', databases: ['shop'], as })).rejects.toMatchObject({
      code: 'usage',
      message: containing('cannot be the name of a database'),
    });
  }
});

test('views are counted, left out of what is loaded, dropped and made again with the swap', async () => {
  // The server has views, and makes none for clients.
  await server.sql(`
    select documentdb_api.create_collection_view('shop', '{ "create": "anns", "viewOn": "customers", "pipeline": [{ "$match": { "name": "Ann" } }] }')`);
  const before = await fingerprintMongodb(server);
  expect(before['shop']?.['anns']).toMatchObject({ type: 'view', count: 1 });
  const { id, facts, engineFacts } = await app.backedUp('db');
  expect(facts.databases['shop']?.objects).toEqual({ collections: 3, indexes: 3, views: 1 });
  expect(Object.keys(facts.databases['shop']?.tables ?? {})).not.toContain('anns');
  expect(engineFacts).toMatchObject({ databases: { shop: { views: [{ name: 'anns' }] } } });

  await app.restore({ source: 'db', at: id, databases: ['shop'] });
  const { anns, ...restored } = (await fingerprintMongodb(server))['shop'] ?? {};
  expect({ ...restored, anns: before['shop']?.['anns'] }).toEqual(before['shop']);
  // What this server makes of it.
  expect(anns).toMatchObject({ type: 'collection', count: 0 });
  await server.js('db.anns.drop()');
  await app.dropPrevious('db');
  await expectNothingLeft();
});

test('a collection whose documents expire may have fewer of them, and not more', async () => {
  await server.js(`
    db.sessions.insertMany([{ _id: 1 }, { _id: 2 }]);
    db.sessions.createIndex({ until: 1 }, { expireAfterSeconds: 60 });`);
  const { id } = await app.backedUp('db');
  const path = join(app.dir, 'db', id, 'manifest.json');
  const written = await readFile(path, 'utf8');
  const restore = { source: 'db', at: id, databases: ['shop'], as: 'other' };
  for (const [rows, outcome] of [
    [3, 'restored'],
    [1, 'verification-failed'],
  ] as const) {
    const manifest = JSON.parse(written) as Manifest;
    const tables = manifest.facts.databases['shop']?.tables as Record<string, unknown>;
    tables['sessions'] = { rows, exact: true };
    await writeFile(path, JSON.stringify(manifest));
    const ended = await app.restore(restore).then(
      () => 'restored',
      (error: unknown) => (error as { readonly code: string }).code,
    );
    expect(ended, `${rows} documents`).toBe(outcome);
  }
  await server.js(`m.getDB('other').dropDatabase(); db.sessions.drop()`);
});

test('zstd is used where the target has it, both ways', async () => {
  const { stdout } = await runProcess([
    'sh',
    '-c',
    `docker run --rm postgres:17 tar -C / -ch usr/bin/zstd usr/lib/x86_64-linux-gnu/libxxhash.so.0 |
      docker exec -i --user root "$0" tar -x -C / && docker exec "$0" zstd --version`,
    server.name,
  ]);
  expect(stdout).toContain('Zstandard');
  const before = await fingerprintMongodb(server);
  const { id, files } = await app.backedUp('db');
  expect(files.map(({ compression }) => compression)).toEqual(['zstd', 'zstd']);
  await server.js(`db.dropDatabase()`);
  await app.restore({ source: 'db', at: id, databases: ['shop'] });
  expect(await fingerprintMongodb(server)).toEqual(before);
  await server.exec(['rm', '/usr/bin/zstd'], { user: 'root' });
});

test('a server that asks nobody who he is, and a login by label', async () => {
  await using open = await startMongodb({
    env: { MONGO_INITDB_ROOT_USERNAME: '', MONGO_INITDB_ROOT_PASSWORD: '' },
  });
  await app.restore({ source: 'db', into: open.name });
  await using other = await liveApp({
    sources: { open: `mongodb://${open.name}`, named: `mongodb://${server.name}/wiki` },
    env: {
      BACKUPD_SOURCE_NAMED_USER: server.user,
      BACKUPD_SOURCE_NAMED_PASSWORD_FILE: '/tmp/password',
    },
  });
  expect((await other.backedUp('open')).databases).toEqual(['shop', 'wiki']);
  const input = `${server.password}\n`;
  await server.exec(['sh', '-c', 'cat >/tmp/password'], { input });
  expect((await other.backedUp('named')).databases).toEqual(['wiki']);
  await server.exec(['sh', '-c', 'echo wrong >/tmp/password']);
  expect((await other.backUp('named')).failure).toMatchObject({ code: 'dump-failed' });
});

test('no password is in an argument that anybody can see', async () => {
  const seen = await runProcess([
    'docker',
    'events',
    '--filter',
    `container=${server.name}`,
    '--since',
    '10m',
    '--until',
    '0s',
  ]);
  expect(seen.stdout).toContain('mongodump');
  expect(seen.stdout).toContain('mongorestore');
  expect(seen.stdout).not.toContain(server.password.slice(0, 6));
});

test('accounts are saved as the stock tool reads them, where the server has them in a collection', async () => {
  // This one has them elsewhere, and lets nobody make such a collection.
  await server.js(
    `m.getDB('admin').users.insertMany([{ _id: 'admin.ann' }, { _id: 'admin.bob' }]);
    for (let n = 0; n < 300; n += 1) { m.getDB('admin').users.insertOne({ _id: 'admin.' + n }); }`,
  );
  await server.sql(`
    do $$ declare name text; begin
      for name in select conname from pg_constraint where conrelid = 'documentdb_api_catalog.collections'::regclass and contype = 'c'
      loop execute format('alter table documentdb_api_catalog.collections drop constraint %I', name); end loop;
    end $$;
    update documentdb_api_catalog.collections set collection_name = 'system.users' where collection_name = 'users'`);
  const { id, files } = await app.backedUp('db');
  const [file] = files;
  expect(file).toMatchObject({ format: 'bson', database: null });
  const bytes = await readFile(join(app.dir, 'db', id, file?.name ?? ''));
  const found = zstdDecompressSync(bytes)
    .toString('latin1')
    .match(/admin\.(?:ann|bob|\d+)\0/g);
  expect(found).toHaveLength(302);
  await app.restore({ source: 'db', at: id });
});
