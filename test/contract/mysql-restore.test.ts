import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Manifest } from '../../src/core/manifest.ts';
import { liveApp, type LiveApp } from '../support/live-app.ts';
import { containing, having } from '../support/matchers.ts';
import { startMysql, type Mysql } from '../support/mysql.ts';

const DATA = `
  create table customers (id int primary key, name varchar(50)); insert into customers values (1, 'Ann');
  create database wiki; create table wiki.pages (id int primary key); insert into wiki.pages values (1), (2);
  create user app@'%' identified by 'secret'; grant select on shop.* to app@'%'; grant select (id) on shop.customers to app@'%';
`;

// Both flavours were tried; what they differ in is in the contract.
const image = 'mariadb:11.8';

describe(`restores of ${image}`, () => {
  let server: Mysql;
  let app: LiveApp;
  let backup: Manifest;

  beforeAll(async () => {
    server = await startMysql({ image });
    await server.sql(DATA);
    app = await liveApp({ sources: { db: `${image.split(':')[0] ?? ''}://${server.name}` } });
    backup = await app.backedUp('db');
  });

  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  test('accounts that a restore made are gone when it fails, and get their grants from the next one', async () => {
    await using another = await startMysql({ image });
    const path = join(app.dir, 'db', backup.id, 'manifest.json');
    const written = await readFile(path, 'utf8');
    const tables = { customers: { rows: 7, exact: true } };
    const shop = { ...backup.facts.databases['shop'], tables };
    const databases = { ...backup.facts.databases, shop };
    await writeFile(path, JSON.stringify({ ...backup, facts: { ...backup.facts, databases } }));
    await expect(app.restore({ source: 'db', into: another.name })).rejects.toMatchObject({
      code: 'verification-failed',
    });
    await writeFile(path, written);
    const accounts = "select count(*) from mysql.user where user = 'app'";
    expect(await another.sql(accounts, 'mysql')).toBe('0');

    const { warnings } = await app.restore({ source: 'db', into: another.name });
    expect(warnings).toEqual([]);
    expect(await another.sql("show grants for app@'%'")).toContain('GRANT SELECT ON `shop`.*');
  });

  test('columns that take their numbers from a sequence take them from that of their own database, wherever they are restored', async () => {
    await server.sql(`
      create database \`tü.q\`; use \`tü.q\`; create sequence numbers start with 7;
      create table tickets (id int primary key default nextval(numbers), what varchar(50) default '\`tü.q\`.x', last int default lastval(numbers));
      insert into tickets (what) values ('one');`);
    const { id } = await app.backedUp('db');
    const wanted = { source: 'db', at: id, databases: ['tü.q'] };
    const next =
      'insert into tickets () values (); select id, what from tickets order by id desc limit 1';
    await server.sql('insert into tickets (what) values (null)', 'tü.q');

    await app.restore({ ...wanted, as: 'copy' });
    expect(await server.sql('show create table tickets', 'copy')).not.toContain('tü.q`.`numbers');
    await server.sql('drop sequence numbers', 'tü.q');
    expect(await server.sql(next, 'copy')).toBe('1007\t`tü.q`.x');

    // Its sequence is gone, then all of it is.
    await app.restore(wanted);
    expect(await server.sql(next, 'tü.q')).toBe('1007\t`tü.q`.x');
    await using another = await startMysql({ image });
    await app.restore({ ...wanted, into: another.name });
    expect(await another.sql(next, 'tü.q')).toBe('1007\t`tü.q`.x');
    expect(
      await another.sql(
        "select count(*) from information_schema.schemata where schema_name like 'backupd%'",
      ),
    ).toBe('0');
    await server.sql('drop database copy; drop database `tü.q`');
  });

  test('an event that a server cannot make is told of, and all else is restored', async () => {
    await server.sql(`
      insert into mysql.time_zone values (99, 'N'); insert into mysql.time_zone_name values ('Test/Zone', 99);
      insert into mysql.time_zone_transition_type values (99, 0, 3600, 0, 'TST');
      set time_zone = 'Test/Zone';
      create event elsewhere on schedule every 1 day starts '2030-01-01 00:00:00' do select 1;
      set time_zone = 'SYSTEM';
      create event here on schedule every 1 day starts '2030-01-01 00:00:00' do select 1`);
    const { id } = await app.backedUp('db');
    await using another = await startMysql({ image });
    const report = await app.restore({ source: 'db', at: id, into: another.name });
    expect(report.warnings).toEqual([
      having({ code: 'object-skipped', message: containing('event "elsewhere" of "shop"') }),
    ]);
    expect(await another.sql('select event_name from information_schema.events')).toBe('here');
    expect(await another.sql('select count(*) from pages', 'wiki')).toBe('2');
    // What was left out stops nothing.
    await app.undo('db');
    await server.sql('drop event elsewhere; drop event here');
  });

  test('an account that may only dump is told so before a restore begins', async () => {
    await server.sql(
      `create user few@localhost identified by ${server.quotedPassword}; grant select, show view on *.* to few@localhost;`,
    );
    await using limited = await liveApp({
      sources: { db: `mariadb://${server.name}` },
      env: { BACKUPD_SOURCE_DB_USER: 'few' },
      dir: app.dir,
    });
    await expect(limited.plan({ source: 'db' })).rejects.toMatchObject({
      code: 'target-unavailable',
      message: containing('CREATE, DROP, INSERT'),
    });
    await server.sql('drop user few@localhost');
  });

  test('a grant on what is not restored is told of', async () => {
    await using another = await startMysql({ image });
    await another.sql('drop database shop', 'mysql');
    const report = await app.restore({ source: 'db', databases: ['wiki'], into: another.name });
    expect(report.warnings).toEqual([
      having({ code: 'grant-skipped', message: containing('`shop`.`customers`') }),
    ]);
  });

  test('a foreign key from another database refuses the restore by its name, one from what is kept does not', async () => {
    await server.sql(
      `create table wiki.likes (customer int, constraint to_shop foreign key (customer) references shop.customers (id))`,
    );
    await expect(app.restore({ source: 'db', databases: ['shop'] })).rejects.toMatchObject({
      code: 'target-in-use',
      message: containing('"to_shop" of "wiki"."likes" refers to "shop"."customers"'),
    });
    await app.restore({ source: 'db', databases: ['wiki'] });
    await app.restore({ source: 'db', databases: ['shop'] });
    expect(await server.sql('select name from customers')).toBe('Ann');
  });
});
