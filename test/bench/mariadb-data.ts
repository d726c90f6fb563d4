import { CITIES, FIRST_NAMES, KINDS, LAST_NAMES, STATUSES, WORDS } from './words.ts';

/**
 * SQL that fills an empty database of MariaDB with the same kind of shop. Seeded: the same rows each time.
 * @param scale 1: a dump of about 1 GB
 */
export function mariadbShopSql(scale: number): string {
  const customers = Math.round(300_000 * scale);
  const orders = Math.round(1_500_000 * scale);
  const items = Math.round(3_000_000 * scale);
  const events = Math.round(2_500_000 * scale);
  return `
set rand_seed1 = 4711, rand_seed2 = 815, autocommit = 0, unique_checks = 0, foreign_key_checks = 0;
create temporary table texts (id int primary key, t text);
insert into texts select seq, concat_ws(' ', ${Array.from({ length: 20 }, () => pick(WORDS)).join(', ')}) from seq_0_to_9999;
create table customers (id int primary key, email varchar(200) not null, name varchar(100) not null, city varchar(50) not null,
  phone varchar(30), created_at datetime not null, note text, key (email));
insert into customers select seq, concat(lower(first), '.', lower(last), seq, '@example.com'), concat(first, ' ', last), city,
  concat('+49 ', floor(1e8 + rand() * 8e8)), '2020-01-01' + interval floor(rand() * 2100 * 86400) second,
  if(rand() < 0.2, (select t from texts where id = seq % 10000), null)
  from (select seq, ${pick(FIRST_NAMES)} first, ${pick(LAST_NAMES)} last, ${pick(CITIES)} city from seq_1_to_${customers}) people;
create table orders (id bigint primary key, customer_id int not null, status varchar(20) not null, total decimal(10, 2) not null,
  created_at datetime not null, token char(32) not null, comment text, key (customer_id), key (created_at),
  constraint orders_customer foreign key (customer_id) references customers (id));
insert into orders select seq, 1 + floor(rand() * ${customers}), ${pick(STATUSES)}, rand() * 900 + 5,
  '2022-01-01' + interval seq * 50 second, md5(seq), if(seq % 7 = 0, (select t from texts where id = seq % 10000), null)
  from seq_1_to_${orders};
create table order_items (order_id bigint not null, line int not null, product_id int not null, quantity int not null,
  price decimal(8, 2) not null, primary key (order_id, line),
  constraint items_order foreign key (order_id) references orders (id));
insert into order_items select 1 + seq div 2, seq % 2, 1 + floor(rand() * 40000), 1 + floor(rand() * 4), rand() * 400 + 1
  from seq_0_to_${items - 1};
create table events (id bigint primary key, customer_id int, kind varchar(20) not null, at datetime not null, details json not null,
  key (customer_id, at));
insert into events select seq, if(rand() < 0.7, 1 + floor(rand() * ${customers}), null), ${pick(KINDS)},
  '2024-01-01' + interval seq * 30 second,
  json_object('path', concat('/products/', floor(rand() * 40000)), 'session', md5(seq div 9),
    'ip', concat('10.', (seq div 9) % 250, '.', (seq div 2000) % 250, '.', seq % 250), 'duration_ms', floor(rand() * 3000),
    'text', (select t from texts where id = seq % 10000))
  from seq_1_to_${events};
create view open_orders as select * from orders where status in ('paid', 'shipped');
drop temporary table texts;
commit;
analyze table customers, orders, order_items, events;
`;
}

function pick(list: string): string {
  const words = list.split(' ');
  return `elt(1 + floor(rand() * ${words.length}), ${words.map((word) => `'${word}'`).join(', ')})`;
}
