// Sample data for the profile "mongodb" of the demo: a small shop.
const shop = db.getSiblingDB('shop');
const numbers = Array.from({ length: 20_000 }, (_, n) => n);
shop.customers.insertMany(numbers.slice(0, 2000).map((n) => ({ _id: n, name: `Customer ${n}` })));
shop.orders.insertMany(
  numbers.map((n) => ({ _id: n, customer: n % 2000, cents: 100 + ((n * 37) % 90_000) })),
);
shop.orders.createIndex({ customer: 1 });
