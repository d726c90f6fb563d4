import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Warning } from '../../../src/core/manifest.ts';
import type { DumpPlan, DumpResult, PartFacts } from '../../../src/core/source.ts';
import { connectDocker } from '../../../src/docker/connect.ts';
import { connect } from '../../../src/sources/mysql/connection.ts';
import { openDump } from '../../../src/sources/mysql/dump.ts';
import { dumpReader } from '../../../src/sources/mysql/dump-reader.ts';
import { containing } from '../../support/matchers.ts';
import { startMysql, type Mysql } from '../../support/mysql.ts';

const docker = connectDocker(process.env);
const PLAN: DumpPlan = { run: 'test/x/1', facts: 'exact', compressInTarget: null };

const RICH = String.raw`
create table parents (id int primary key auto_increment, n int, s varchar(50) comment 'it''s', b blob,
  twice int as (n * 2) stored, more int as (n + 1) virtual, j json, at datetime default '2026-01-02 03:04:05');
insert into parents (n, s, b, j) values (1, 'a', x'00ff27', '{"a":1}'), (2, 'it''s \\ (),(', null, null), (3, 'ü😀\n', x'', null);
create table children (id int primary key, parent int, foreign key (parent) references parents (id));
insert into children values (1, 1), (2, 1);
create table plain (a int) engine = myisam; insert into plain values (1);
create table nothing (a int);
create table ${'`we``ird "n`'} (${'`c o` int, `d``e` text'}) comment 'x'; insert into ${'`we``ird "n`'} values (1, 'y');
create table parted (id int primary key) partition by hash (id) partitions 3; insert into parted values (1), (2), (3), (4);
create view v1 as select * from parents; create view v2 as select id from v1;
create table gone (a int); create view broken as select * from gone; drop table gone;
delimiter //
create trigger shout before insert on parents for each row begin set new.s = upper(new.s); end//
create procedure p(in x int) begin
select 'x
-- Dump completed';
end//
create function f(x int) returns int deterministic return x + 1//
create event nightly on schedule every 1 day do begin delete from nothing; end//
delimiter ;
create user app@'%' identified by 'secret';
grant select, insert on shop.* to app@'%'; grant execute on procedure shop.p to app@'%';
create role readers; grant select on shop.parents to readers; grant readers to app@'%';
create database other; create table other.t (a int); insert into other.t values (1), (2);
`;

interface Dumped {
  readonly result: DumpResult;
  /** Plain, by stem. */
  readonly texts: ReadonlyMap<string, string>;
}

async function dump(server: Mysql, how: { user?: string } = {}): Promise<Dumped> {
  const signal = AbortSignal.timeout(60_000);
  const at = { containerId: server.id };
  const login = { user: how.user ?? null, passwordFile: null, run: PLAN.run };
  const connection = await connect(docker, at, login, signal);
  await using session = await openDump(connection, { databases: null, exclude: [] }, PLAN, signal);
  const texts = new Map<string, string>();
  const read = new Map<string, PartFacts>();
  for await (const part of session.parts()) {
    const plain = await text(part.stream);
    texts.set(part.stem, plain);
    if (part.format === 'mysql-dump') {
      const reader = dumpReader();
      reader.push(Buffer.from(plain));
      read.set(part.stem, reader.end());
    }
  }
  return { result: await session.finish(read), texts };
}

describe.each(['mariadb:10.11', 'mariadb:11.8', 'mysql:9.7'])('%s', (image) => {
  let server: Mysql;

  beforeAll(async () => {
    server = await startMysql({ image });
    await server.sql(RICH);
    // Its own settings, and those of the user in the container, are none of a dump's business.
    await server.exec([
      'sh',
      '-c',
      'printf "[client]\nuser=nobody\npassword=wrong\n[mysqldump]\nwhere=1=0\n" >~/.my.cnf',
    ]);
    await server.sql(`set global sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'`);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test('every database is dumped whole, counted, and what is lacking is told', async () => {
    const { result } = await dump(server);
    expect(result.databases).toEqual(['other', 'shop']);
    const facts = result.facts.databases['shop'];
    expect(facts).toMatchObject({
      tables: {
        parents: { rows: 3, exact: true },
        children: { rows: 2, exact: true },
        plain: { rows: 1, exact: true },
        nothing: { rows: 0, exact: true },
        'we`ird "n': { rows: 1, exact: true },
        parted: { rows: 4, exact: true },
      },
      objects: { tables: 6, views: 2, triggers: 1, functions: 1, procedures: 1, events: 1 },
    });
    expect(facts?.sizeBytes).toBeGreaterThan(0);
    expect(result.facts.databases['other']?.tables).toEqual({ t: { rows: 2, exact: true } });
    expect(result.warnings).toEqual<readonly Warning[]>([
      { code: 'view-broken', message: containing('"broken" in "shop"') as string },
      { code: 'not-transactional', message: containing('plain') as string },
    ]);
  });

  test('what was dumped makes the same database with the plain client', async () => {
    const { texts } = await dump(server);
    await server.sql('create database copy');
    // As servers are by default: the dump was made in spite of another mode.
    await server.sql(`set global sql_mode = default`);
    await server.sql(texts.get('shop.sql') ?? '', 'copy');
    const tables = ['parents', 'children', 'plain', 'nothing', '`we``ird "n`', 'parted'];
    async function checksums(database: string): Promise<string> {
      const sums = await server.sql(`checksum table ${tables.join(', ')}`, database);
      return sums.replaceAll(`${database}.`, '');
    }
    expect(await checksums('copy')).toBe(await checksums('shop'));
    expect(await server.sql(`select s from parents where n = 3`, 'copy')).toBe('ü😀\\n');
    expect(
      await server.sql(
        "insert into parents (s) values ('loud'); select s from parents where id = last_insert_id(); select f(1); select count(*) from v2",
        'copy',
      ),
    ).toBe('LOUD\n2\n4');
    expect(
      await server.sql(
        `select event_name, status from information_schema.events where event_schema = 'copy'`,
      ),
    ).toBe('nightly\tENABLED');
    await server.sql('drop database copy');
  });

  test('accounts, roles and grants are in a file of their own, without those of the server itself', async () => {
    const { texts } = await dump(server);
    const users = texts.get('users.sql') ?? '';
    expect(users).toMatch(/^CREATE USER `app`@`%` IDENTIFIED .*;$/m);
    expect(users).toContain('GRANT SELECT, INSERT ON `shop`.* TO `app`@`%`;');
    expect(users).toContain('GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `app`@`%`;');
    expect(users).toMatch(/^GRANT SELECT ON `shop`.`parents` TO `readers`(?:@`%`)?;$/m);
    expect(users).not.toMatch(/`root`|healthcheck|mysql\.sys|mariadb\.sys/);
    expect(users.indexOf('CREATE ')).toBeLessThan(users.indexOf('GRANT '));
  });

  test('an account that may not see everything is told of, by what is missing', async () => {
    await server.sql(`
      set sql_mode = '';
      create user few@localhost identified by ${server.quotedPassword};
      grant select, lock tables, show view on shop.* to few@localhost; grant select on mysql.* to few@localhost;
      create user many@localhost identified by ${server.quotedPassword};
      grant select, show view, trigger, event, lock tables, process on *.* to many@localhost;`);
    const { result } = await dump(server, { user: 'few' });
    expect(result.databases).toEqual(['shop']);
    const missing = result.warnings.filter(({ code }) => code === 'rights-missing');
    expect(missing.map(({ message }) => message)).toEqual([
      containing('the triggers of "shop" (TRIGGER)'),
      containing('the events of "shop" (EVENT)'),
      // In MariaDB they are in a table that it may read.
      ...(image.startsWith('mariadb')
        ? []
        : [containing('the routines of "shop" (SHOW_ROUTINE or SHOW CREATE ROUTINE)')]),
    ]);
    expect(result.facts.databases['shop']?.objects).toMatchObject({ tables: 6, views: 2 });

    const whole = await dump(server, { user: 'many' });
    expect(whole.result.warnings.map(({ code }) => code)).toEqual([
      'view-broken',
      'not-transactional',
    ]);
    expect(whole.result.facts.databases['shop']?.objects).toMatchObject({
      triggers: 1,
      functions: 1,
      procedures: 1,
      events: 1,
    });
    await server.sql('drop user few@localhost, many@localhost');
  });

  test('a wrong login fails, and says as whom', async () => {
    await expect(dump(server, { user: 'nobody' })).rejects.toMatchObject({
      code: 'dump-failed',
      message: containing('as "nobody"'),
    });
  });
});
