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

describe.each(['mariadb:11.8', 'mysql:9.7'])('restores of %s', (image) => {
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
