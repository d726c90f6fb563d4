import { afterEach, describe, expect, test } from 'vitest';
import { drillSource } from '../../../src/jobs/drill.ts';
import { scratchesOf } from '../../support/drills.ts';
import { liveApp, type LiveApp } from '../../support/live-app.ts';
import { startMongodb } from '../../support/mongodb.ts';
import { startMysql } from '../../support/mysql.ts';

/** A server that is made new, on a machine with much else to do. */
const TIMEOUT = { timeout: 600_000 };
const PASSED = { ok: true, integrity: 1, differences: [], skipped: null, failure: null };

let stack = new AsyncDisposableStack();

afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

async function drill(url: string, drillCheck: string): Promise<{ live: LiveApp; report: unknown }> {
  const live = stack.use(await liveApp({ sources: { db: url } }));
  await live.backedUp('db');
  const { job } = await live.find('db');
  const report = await drillSource(
    { ...job, drillCheck },
    live.app,
    { waitMs: 0 },
    AbortSignal.timeout(300_000),
  );
  expect(scratchesOf(`${live.app.context.storage.identity}/db`)).toEqual([]);
  return { live, report };
}

const SAMPLE = `
  create table orders (id int primary key, at datetime);
  insert into orders values (1, now()), (2, now());
  create view busy as select count(*) as n from orders;
  delimiter //
  create trigger later before insert on orders for each row set new.at = now()//
  create event remove on schedule every 1 second do delete from orders//`;

describe.each(['mariadb:11.8', 'mysql:9.7'])('%s', (image) => {
  test('is restored as it was dumped, and no event works in it', TIMEOUT, async () => {
    const server = stack.use(await startMysql({ image }));
    await server.sql(`set global event_scheduler = off; ${SAMPLE}`);
    const engine = image.split(':', 1)[0] ?? '';
    // The check looks seconds after the events came: had they worked, nothing would be left.
    const check = 'shop: do sleep(3); select count(*) = 2 from orders';
    const { report } = await drill(`${engine}://${server.name}/shop`, check);
    expect(report).toMatchObject({ ...PASSED, checks: [{ ok: true, found: '1' }] });
  });
});

test('a database of MongoDB is restored as it was dumped', TIMEOUT, async () => {
  const server = stack.use(await startMongodb());
  await server.js(
    'db.orders.insertMany([{ _id: 1 }, { _id: 2 }]); db.orders.createIndex({ a: 1 })',
  );
  const check = 'shop: db.orders.countDocuments() == 2';
  const { report } = await drill(`mongodb://${server.name}/shop`, check);
  expect(report).toMatchObject({ ...PASSED, checks: [{ ok: true, found: 'true' }] });
});
