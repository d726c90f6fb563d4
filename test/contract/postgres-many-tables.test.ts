import { expect, test } from 'vitest';
import { liveApp } from '../support/live-app.ts';
import { startPostgres } from '../support/postgres.ts';

const TABLES = 4500;

test('4,500 tables are dumped, counted, restored and compared at default settings', async () => {
  await using server = await startPostgres();
  await server.sql(`
    do $$ begin
      for n in 1..${TABLES} loop
        execute format('create table t%s (id int primary key, other int unique)', n);
        execute format('insert into t%s values (%s, %s)', n, n, n);
        if n % 500 = 0 then commit; end if;
      end loop;
    end $$`);
  await using app = await liveApp({ sources: { db: `postgres://${server.name}/shop` } });

  const manifest = await app.backedUp('db');
  const tables = Object.values(manifest.facts.databases['shop']?.tables ?? {});
  expect(tables).toHaveLength(TABLES);
  expect(tables.every(({ rows, exact }) => exact && rows === 1)).toBe(true);

  await app.restore({ source: 'db' });
  expect(await server.sql(`select count(*) from pg_class where relname ~ '^t\\d+$'`)).toBe(
    String(TABLES),
  );
  expect(await server.sql('select id from t4321')).toBe('4321');
});
