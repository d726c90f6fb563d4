import {
  fingerprintMongodb,
  listEverything,
  startMongodb,
  waitUntilReady,
} from '../support/mongodb.ts';
import { hinderTool } from '../support/tool-stand-in.ts';
import { sourceContract, type ContractServer } from './source-contract.ts';

const OTHER = 'other-DB_2';

sourceContract({
  engine: 'mongodb',
  start: contractServer,
  rich: {
    database: 'shop',
    // Counted by hand in RICH.
    facts: {
      tables: {
        customers: { rows: 3, exact: true },
        orders: { rows: 4, exact: true },
        'fs.files': { rows: 1, exact: true },
        'fs.chunks': { rows: 2, exact: true },
        'We`ird "tä ble* 😀': { rows: 1, exact: true },
        nothing: { rows: 0, exact: true },
        'two\nlines': { rows: 1, exact: true },
        numbers: { rows: 4096, exact: true },
      },
      sequences: {},
      objects: { collections: 8, indexes: 13 },
    },
  },
  other: OTHER,
  copy: 'A_copy',
});

const RICH = `
  db.customers.insertMany([
    { _id: 1, name: 'Ann', face: new BinData(0, 'AP8nCg0='), more: { a: [1, 2.5, NumberLong('9007199254740993')] } },
    { _id: ObjectId('0123456789abcdef01234567'), name: 'Ü😀', at: ISODate('2026-01-02T03:04:05.678Z'), sum: NumberDecimal('1.10') },
    { _id: { a: 1, b: 'x' }, name: "it's", pattern: /^a.*b$/i, nothing: null, when: Timestamp(7, 8), yes: true },
  ]);
  db.customers.createIndex({ name: 1 }, { unique: true });
  db.orders.insertMany([
    { _id: 1, customer: 1, cents: 100, until: ISODate('2100-01-01T00:00:00Z') },
    { _id: 2, customer: 1, cents: 5 }, { _id: 3, customer: 2 }, { _id: 4, customer: 3, cents: 7, tags: ['a', 'b'] },
  ]);
  db.orders.createIndex({ customer: 1, cents: -1 });
  db.orders.createIndex({ until: 1 }, { expireAfterSeconds: 3600, name: 'ends "then"' });
  db.getCollection('fs.files').insertOne({ _id: 1, filename: 'a', length: 4 });
  db.getCollection('fs.files').createIndex({ filename: 1 });
  db.getCollection('fs.chunks').insertMany([{ _id: 1, files_id: 1, n: 0, data: 'aa' }, { _id: 2, files_id: 1, n: 1, data: 'bb' }]);
  db.getCollection('fs.chunks').createIndex({ files_id: 1, n: 1 }, { unique: true });
  db.getCollection('We\`ird "tä ble* 😀').insertOne({ _id: 'x', 'a b': { 'ä"': "y" } });
  db.getCollection('two\\nlines').insertOne({ _id: 1 });
  db.createCollection('nothing');
  const { createHash } = require('crypto');
  const numbers = [];
  for (let n = 0; n < 4096; n += 1) { numbers.push({ _id: n, text: createHash('sha256').update(String(n)).digest('hex') }); }
  db.numbers.insertMany(numbers);
  m.getDB('${OTHER}').t.insertMany([{ _id: 1 }, { _id: 2 }]);
`;

const CHANGES = `
  m.getDB('${OTHER}').dropDatabase();
  db.customers.updateOne({ _id: 1 }, { $set: { name: 'changed' } });
  db.orders.deleteOne({ _id: 2 });
  db.orders.dropIndex('customer_1_cents_-1');
  db.nothing.drop();
  db.getCollection('fs.chunks').drop();
  db.getCollection('fs.files').insertOne({ _id: 2, filename: 'b' });
  db.getCollection('added.too').insertOne({ _id: 1 });
`;

async function contractServer(): Promise<ContractServer> {
  const server = await startMongodb();
  return {
    ...server,
    async fill() {
      await server.js(RICH);
    },
    async change() {
      await server.js(CHANGES);
    },
    async empty() {
      await server.js(`
        for (const name of ['shop', '${OTHER}']) {
          for (const collection of m.getDB(name).getCollectionNames()) {
            m.getDB(name).getCollection(collection).deleteMany({});
          }
        }`);
    },
    async poison(database) {
      // Two documents of one _id: no server makes them, and none takes them.
      await server.js(`m.getDB('${database}').poisoned.insertOne({ _id: 1 })`);
      const table = await server.sql(`
        select 'documentdb_data.documents_' || collection_id from documentdb_api_catalog.collections
        where database_name = '${database}' and collection_name = 'poisoned'`);
      const key = await server.sql(
        `select conname from pg_constraint where conrelid = '${table}'::regclass and contype = 'p'`,
      );
      await server.sql(
        `alter table ${table} drop constraint ${key}; insert into ${table} select * from ${table}`,
      );
    },
    fingerprint: async () => ({ databases: await fingerprintMongodb(server) }),
    databases: async () => listEverything(server),
    async lockOut() {
      await setPassword('another');
      return { [Symbol.asyncDispose]: async () => setPassword(server.password) };
    },
    hinder: async (how) => hinderTool(server, 'mongodump', how),
    untilReady: async () => waitUntilReady(server),
  };

  async function setPassword(password: string): Promise<void> {
    const text = `'${password.replaceAll("'", "''")}'`;
    await server.sql(`alter role "${server.user.replaceAll('"', '""')}" password ${text}`);
  }
}
