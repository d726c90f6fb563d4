import { fingerprintMysql, listDatabases } from '../support/mysql-fingerprint.ts';
import { startMysql, waitUntilReady, type Mysql } from '../support/mysql.ts';
import { hinderTool } from '../support/tool-stand-in.ts';
import type { ContractServer, EngineContract } from './source-contract.ts';

/** What a server from this image, `mariadb:11.8` or `mysql:9.7`, has to show. */
export function mysqlContract(image: string): EngineContract {
  const isMariadb = image.startsWith('mariadb');
  return {
    engine: isMariadb ? 'mariadb' : 'mysql',
    start: async () => contractServer(await startMysql({ image }), isMariadb),
    rich: { database: 'shop', facts: isMariadb ? MARIADB_FACTS : FACTS },
    other: OTHER_NAME,
  };
}

/** Counted by hand in RICH. */
const FACTS: EngineContract['rich']['facts'] = {
  tables: {
    customers: { rows: 3, exact: true },
    orders: { rows: 4, exact: true },
    pairs: { rows: 1, exact: true },
    twins: { rows: 1, exact: true },
    'We`ird "tä ble': { rows: 1, exact: true },
    parted: { rows: 5, exact: true },
    dates: { rows: 2, exact: true },
    nothing: { rows: 0, exact: true },
    'two\nlines': { rows: 2, exact: true },
    log: { rows: 4, exact: true },
    numbers: { rows: 4096, exact: true },
  },
  sequences: {},
  objects: { tables: 11, triggers: 3, views: 3, functions: 1, procedures: 2, events: 2 },
};

const MARIADB_FACTS: EngineContract['rich']['facts'] = {
  ...FACTS,
  sequences: { tickets: '1' },
};

const RICH = String.raw`
  create table customers (id int auto_increment primary key, name varchar(50) collate utf8mb4_bin, face blob, more json,
    points int default 7, twice int generated always as (points * 2) virtual, thrice int generated always as (points * 3) stored,
    unique key by_name (name), check (points > 0), constraint not_empty check (name <> '')) comment 'who''s who';
  insert into customers (name, face, more) values ('Ann', x'00ff270a0d', '{"a":[1]}'), ('Ü😀\n''', null, null), ('\\ (1),(2', x'', null);
  create table log (what varchar(100), at timestamp(6) default current_timestamp(6));
  create table orders (id int auto_increment primary key, customer int not null, cents bigint,
    constraint orders_customer foreign key (customer) references customers (id) on delete cascade);
  create table pairs (id int primary key, twin int);
  create table twins (id int primary key, pair int, constraint to_pair foreign key (pair) references pairs (id));
  insert into pairs values (1, 1); insert into twins values (1, 1);
  alter table pairs add constraint to_twin foreign key (twin) references twins (id);
  create table ${'`We``ird "tä ble`'} (${'`c o` int, `d``e` text'}) comment 'x'; insert into ${'`We``ird "tä ble`'} values (1, 'y');
  create table parted (id int primary key) partition by hash (id) partitions 3; insert into parted values (1), (2), (3), (4), (5);
  set sql_mode = ''; create table dates (d date, t datetime); insert into dates values ('0000-00-00', '2026-02-00 00:00:00'), (null, null);
  set sql_mode = default;
  create table nothing (a int);
  create table ${'`two\nlines`'} (a int); insert into ${'`two\nlines`'} values (1), (2);
  create table numbers (n int, t varchar(100));
  insert into numbers with recursive c as (select 1 as n union all select n + 1 from c where n < 64)
    select a.n * 64 + b.n, sha2(a.n * 64 + b.n, 256) from c a, c b;
  create view zz_first as select id, name from customers with check option;
  create view aa_second as select name from zz_first where id > 0 with local check option;
  create algorithm = merge sql security invoker view ${'`o``dd`'} (${'`a b`'}) as select count(*) from orders;
  delimiter //
  create trigger before_order before insert on orders for each row set new.cents = ifnull(new.cents, 0)//
  create  trigger /* here */ After_Order
    after insert on shop . orders
    for each row begin insert into log (what) values (concat('order ', new.id, ' à')); end//
  create trigger after_second after insert on orders for each row follows After_Order set @seen = 1//
  create procedure total(in who int, out sum bigint) comment 'what
-- Dump completed' begin /* why */ select sum(cents) -- because ;;
    into sum from orders where customer = who; # à
  end//
  create function half(x int) returns int deterministic return x / 2//
  set sql_mode = 'ANSI_QUOTES'//
  create procedure "an ""other"() select "id" from "customers"//
  set sql_mode = default//
  create event nightly on schedule every 1 day starts '2030-01-01 02:03:04' comment 'à' do begin delete from nothing; end//
  delimiter ;
  insert into orders (customer, cents) values (1, 100), (1, null), (2, 5), (3, 7);
  set names latin1;
  create event ${'`in latin1`'} on schedule every 1 year starts '2030-01-01 00:00:00' disable do select 'é';
  set names utf8mb4;
  create user app@'%' identified by 'it''s'; create user reader@localhost identified by 'other';
  grant select, insert on shop.* to app@'%'; grant execute on procedure shop.total to app@'%' with grant option;
  grant select (id, name) on shop.customers to reader@localhost;
  create role readers; grant select on shop.orders to readers; grant readers to app@'%';
`;

const OTHER_NAME = 'Other `d/b\\.%"';
const OTHER_QUOTED = `\`${OTHER_NAME.replaceAll('`', '``')}\``;
const OTHER =
  'create table t (a int); insert into t values (1), (2); create view v as select * from t;';

function contractServer(server: Mysql, isMariadb: boolean): ContractServer {
  return {
    ...server,
    async fill() {
      await server.sql(
        `create database ${OTHER_QUOTED} character set latin1; alter database shop character set utf8mb4`,
      );
      await server.sql(OTHER, OTHER_NAME);
      await server.sql(RICH + (isMariadb ? 'create sequence tickets;' : ''));
    },
    async change() {
      await server.sql(`drop database ${OTHER_QUOTED}`);
      await server.sql(CHANGES);
    },
    async empty() {
      await server.sql('drop database shop; create database shop');
      await server.sql('drop view v; drop table t', OTHER_NAME);
    },
    async poison(database) {
      await server.sql(POISON, database);
    },
    fingerprint: async () => fingerprintMysql(server),
    databases: async () => listDatabases(server),
    async lockOut() {
      await server.sql("alter user root@localhost identified by 'another'", 'mysql');
      return {
        async [Symbol.asyncDispose]() {
          const { exitCode, stderr } = await server.exec([server.client, '-uroot', 'mysql'], {
            env: { MYSQL_PWD: 'another' },
            input: `alter user root@localhost identified by ${server.quotedPassword};`,
          });
          if (exitCode !== 0) {
            throw new Error(`the password was not set back: ${stderr}`);
          }
        },
      };
    },
    hinder: async (how) => hinderTool(server, isMariadb ? 'mariadb-dump' : 'mysqldump', how),
    untilReady: async () => waitUntilReady(server, server.client),
  };
}

const CHANGES = `
  drop table pairs, twins, nothing;
  update customers set name = 'changed' where id = 1;
  delete from orders where id = 2;
  drop trigger before_order; drop view aa_second; drop function half;
  create or replace view zz_first as select 1 as one;
  alter event nightly on schedule every 2 day;
  create table added (a int); insert into added values (1);
  create trigger added_too before insert on added for each row set new.a = 2;
  alter database shop character set latin1;
`.replace('drop table pairs, twins,', 'set foreign_key_checks = 0; drop table pairs, twins,');

/** A trigger that sets a column which is there no more: it is dumped, and cannot be made. */
const POISON = `
  create table poisoned (a int, b int);
  create trigger poison before insert on poisoned for each row set new.b = 1;
  alter table poisoned drop column b;
`;
