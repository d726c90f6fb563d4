import { afterAll, beforeAll, expect, test } from 'vitest';
import { fingerprintServer } from '../support/fingerprint.ts';
import { liveApp, type LiveApp } from '../support/live-app.ts';
import { startPostgres, type Postgres } from '../support/postgres.ts';

/** What a shell, a connection string, a path, a URL or a pattern would take for something else. */
const NAMES = [
  `qu"o'te, back\\slash $HOME \`id\` %s`,
  'a.b/../100%20',
  'dbname=postgres',
  'postgres://x',
  '--help',
  'UPPER\nand a new line',
  // 63 bytes, to be cut on a character where a suffix has to fit.
  `ünï 数 🙂 ${'é'.repeat(23)}xx`,
];

const stack = new AsyncDisposableStack();
let server: Postgres;
let app: LiveApp;

beforeAll(async () => {
  server = stack.use(await startPostgres());
  await server.sql('create table t as select 1 as x');
  await fill();
  app = stack.use(
    await liveApp({
      sources: { all: `postgres://${server.name}`, shop: `postgres://${server.name}/shop` },
    }),
  );
});

afterAll(async () => {
  await stack.disposeAsync();
});

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

async function fill(): Promise<void> {
  await server.sql(NAMES.map((name) => `create database ${quoted(name)};`).join('\n'), 'template1');
  await server.sql(
    `create role "Own'er ""of"" it" login; create role "-d" in role "Own'er ""of"" it";`,
  );
  for (const [index, name] of NAMES.entries()) {
    await server.sql(
      `create schema ${quoted(name)};
       create table ${quoted(name)}.${quoted(name)} (${quoted(name)} serial);
       insert into ${quoted(name)}.${quoted(name)} select from generate_series(0, ${index});
       alter table ${quoted(name)}.${quoted(name)} owner to "Own'er ""of"" it";
       alter database ${quoted(name)} owner to "-d";
       comment on database ${quoted(name)} is 'number ${index}';`,
      name,
    );
  }
}

test('databases of any name are backed up, restored over themselves, and swapped back', async () => {
  const original = await fingerprintServer(server);
  const manifest = await app.backedUp('all');
  expect(manifest.databases.toSorted()).toEqual([...NAMES, 'postgres', 'shop'].toSorted());
  for (const [index, name] of NAMES.entries()) {
    const { tables } = manifest.facts.databases[name] ?? {};
    expect(Object.values(tables ?? {}), name).toEqual([{ rows: index + 1, exact: true }]);
    await server.sql(`drop table ${quoted(name)}.${quoted(name)}`, name);
  }
  const changed = await fingerprintServer(server);

  const report = await app.restore({ source: 'all', databases: NAMES });
  expect(await fingerprintServer(server)).toEqual(original);
  for (const { name, previous } of report.databases) {
    expect(Buffer.byteLength(previous ?? ''), name).toBeLessThanOrEqual(63);
    expect(previous).toMatch(/_before_\d{8}t\d{6}z/);
  }

  await app.undo('all');
  expect(await fingerprintServer(server)).toEqual(changed);
});

test('a database gets any name by --as, one that is no name is refused before anything is done', async () => {
  await app.backedUp('shop');
  const names = 'select oid, datname from pg_database order by 1';
  const before = await server.sql(names);

  for (const name of ['', 'x'.repeat(64), 'template1']) {
    await expect(app.restore({ source: 'shop', as: name }), name).rejects.toMatchObject({
      code: 'usage',
    });
  }
  expect(await server.sql(names)).toBe(before);

  await app.restore({ source: 'shop', as: "dbname='x' --" });
  expect(await server.sql('select x from t', "dbname='x' --")).toBe('1');
});
