-- Sample data for the profile "mysql" of the demo: a small shop.
create table customers (
  id int auto_increment primary key,
  name varchar(100) not null,
  city varchar(50) not null
);
create table orders (
  id int auto_increment primary key,
  customer_id int not null references customers (id),
  cents int not null,
  at datetime not null,
  foreign key (customer_id) references customers (id)
);
create table changes (
  id int auto_increment primary key,
  what varchar(200) not null
);

set cte_max_recursion_depth = 100000;
insert into customers (name, city)
  with recursive numbers as (select 1 as n union all select n + 1 from numbers where n < 2000)
  select concat('Customer ', n), elt(1 + n % 4, 'Berlin', 'Lyon', 'Porto', 'Oslo') from numbers;
insert into orders (customer_id, cents, at)
  with recursive numbers as (select 1 as n union all select n + 1 from numbers where n < 50000)
  select 1 + n % 2000, 100 + n * 37 % 90000, '2026-01-01' + interval n minute from numbers;

create trigger note_new_order after insert on orders for each row
  insert into changes (what) values (concat('order ', new.id));
create view turnover as
  select city, sum(cents) / 100 as turnover from orders join customers on customers.id = customer_id group by city;
