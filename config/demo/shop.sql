-- The demo's database: a shop with some tens of megabytes of made-up orders. Runs once, when the volume is new.
select setseed(0.42);

create table customers (
  id bigint generated always as identity primary key,
  name text not null,
  email text not null unique,
  city text not null,
  joined_at timestamptz not null
);

create table products (
  id bigint generated always as identity primary key,
  name text not null,
  price numeric(10, 2) not null check (price > 0)
);

create table orders (
  id bigint generated always as identity primary key,
  customer_id bigint not null references customers,
  ordered_at timestamptz not null,
  note text
);

create table order_items (
  order_id bigint not null references orders,
  line int not null,
  product_id bigint not null references products,
  quantity int not null check (quantity > 0),
  primary key (order_id, line)
);

insert into customers (name, email, city, joined_at)
select
  first_name || ' ' || last_name,
  lower(first_name) || '.' || lower(last_name) || '.' || n || '@example.com',
  (array['Amsterdam', 'Berlin', 'Lisboa', 'Kraków', 'Napoli', 'Oslo', 'Paris', 'Zürich'])[1 + floor(random() * 8)],
  timestamptz '2020-01-01 00:00+00' + random() * interval '5 years'
from generate_series(1, 20000) as n
cross join lateral (
  select
    (array['Ada', 'Blaise', 'Chiara', 'Dmitri', 'Emmy', 'Fatima', 'Grace', 'Hiro', 'Ines', 'Jonas'])[1 + n % 10] as first_name,
    (array['Almeida', 'Bakker', 'Conti', 'Dubois', 'Engel', 'Fischer', 'Garcia', 'Hansen'])[1 + n % 8] as last_name
) as names;

insert into products (name, price)
select
  (array['Brass', 'Copper', 'Linen', 'Oak', 'Paper', 'Steel', 'Wool'])[1 + n % 7] || ' '
    || (array['basket', 'bowl', 'chair', 'clock', 'frame', 'lamp', 'shelf', 'table'])[1 + n % 8] || ' No. ' || n,
  round((5 + random() * 495)::numeric, 2)
from generate_series(1, 1000) as n;

insert into orders (customer_id, ordered_at, note)
select
  1 + floor(random() * 20000),
  timestamptz '2025-01-01 00:00+00' + n * interval '3 minutes',
  case when random() < 0.3 then 'gift for ' || substr(md5(n::text), 1, 12) end
from generate_series(1, 200000) as n;

insert into order_items (order_id, line, product_id, quantity)
select id, line, 1 + floor(random() * 1000), 1 + floor(random() * 5)
from orders
cross join lateral generate_series(1, 1 + (id % 3)::int) as line;

create index on orders (customer_id);
create index on order_items (product_id);

create view revenue as
select date_trunc('month', ordered_at at time zone 'UTC')::date as month, sum(quantity * price) as amount
from orders
join order_items on order_id = orders.id
join products on products.id = product_id
group by 1;

analyze;
