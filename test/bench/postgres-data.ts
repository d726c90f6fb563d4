import { CITIES, FIRST_NAMES, KINDS, LAST_NAMES, STATUSES, WORDS } from './words.ts';

/**
 * SQL that fills an empty database with a shop: customers, products, orders with their items, and what visitors did,
 * with the keys and indexes such a shop has. Seeded: the same rows each time.
 * @param scale 1: a dump of about 1 GB
 */
export function shopSql(scale: number): string {
  const customers = Math.round(300_000 * scale);
  const products = Math.round(40_000 * scale);
  const orders = Math.round(1_500_000 * scale);
  const events = Math.round(2_500_000 * scale);
  return `
select setseed(0.42);
create function words(number int) returns text language sql volatile as $$
  select string_agg(w[1 + floor(random() * array_length(w, 1))::int], ' ')
  from (select string_to_array('${WORDS}', ' ') w) dictionary, generate_series(1, number) $$;
create function pick(list text) returns text language sql volatile as $$
  select w[1 + floor(random() * array_length(w, 1))::int] from (select string_to_array(list, ' ') w) dictionary $$;
-- Texts are drawn from a stock of them: making each one anew would take longer than all that is measured.
create temporary table texts as select id, words(8 + (id % 25)) as text from generate_series(0, 19999) id;
create index on texts (id);

create table customers (
  id int generated always as identity, email text not null, name text not null, city text not null,
  phone text, created_at timestamptz not null, note text);
insert into customers (email, name, city, phone, created_at, note)
  select lower(first || '.' || last || n || '@example.com'), first || ' ' || last, pick('${CITIES}'),
    '+49 ' || (1e8 + random() * 8e8)::bigint, timestamptz '2020-01-01' + random() * interval '2100 days',
    case when random() < 0.2 then (select text from texts where id = n % 20000) end
  from (select n, pick('${FIRST_NAMES}') first, pick('${LAST_NAMES}') last from generate_series(1, ${customers}) n offset 0) people;

create table products (
  id int generated always as identity, sku text not null, title text not null, description text not null,
  price numeric(8, 2) not null, attributes jsonb not null);
insert into products (sku, title, description, price, attributes)
  select upper(substr(md5(n::text), 1, 10)), words(4), words(60), (random() * 400 + 1)::numeric(8, 2),
    jsonb_build_object('colour', pick('red green blue black white'), 'weight', (random() * 5000)::int, 'stock', (random() * 900)::int)
  from generate_series(1, ${products}) n;

create table orders (
  id bigint generated always as identity, customer_id int not null, status text not null, total numeric(10, 2) not null,
  created_at timestamptz not null, token uuid not null, comment text);
insert into orders (customer_id, status, total, created_at, token, comment)
  select 1 + floor(random() * ${customers})::int, (string_to_array('${STATUSES}', ' '))[1 + floor(random() * 5)::int],
    (random() * 900 + 5)::numeric(10, 2), timestamptz '2022-01-01' + n * interval '50 seconds' + random() * interval '1 hour',
    md5(n::text)::uuid, case when n % 7 = 0 then (select text from texts where id = n % 20000) end
  from generate_series(1, ${orders}) n;

create table order_items (
  order_id bigint not null, line int not null, product_id int not null, quantity int not null, price numeric(8, 2) not null);
insert into order_items
  select id, line, 1 + floor(random() * ${products})::int, 1 + floor(random() * 4)::int, (random() * 400 + 1)::numeric(8, 2)
  from orders, generate_series(1, 1 + (id % 4)::int) line;

create table events (
  id bigint generated always as identity, customer_id int, kind text not null, at timestamptz not null, details jsonb not null);
insert into events (customer_id, kind, at, details)
  select case when random() < 0.7 then 1 + floor(random() * ${customers})::int end,
    (string_to_array('${KINDS}', ' '))[1 + floor(random() * 8)::int], timestamptz '2024-01-01' + n * interval '30 seconds',
    jsonb_build_object('path', '/products/' || floor(random() * ${products})::int, 'session', md5((n / 9)::text),
      'ip', '10.' || (n / 9) % 250 || '.' || (n / 2000) % 250 || '.' || n % 250, 'duration_ms', floor(random() * 3000)::int,
      'text', texts.text)
  from generate_series(1, ${events}) n join texts on texts.id = n % 20000;

alter table customers add primary key (id);
alter table products add primary key (id);
alter table orders add primary key (id);
alter table order_items add primary key (order_id, line);
alter table events add primary key (id);
create unique index on products (sku);
create index on customers (email);
create index on orders (customer_id);
create index on orders (created_at);
create index on order_items (product_id);
create index on events (customer_id, at);
alter table orders add foreign key (customer_id) references customers;
alter table order_items add foreign key (order_id) references orders;
alter table order_items add foreign key (product_id) references products;
create view open_orders as select * from orders where status in ('paid', 'shipped');
vacuum analyze;
checkpoint;
`;
}
