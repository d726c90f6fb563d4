import { waitUntilReady } from '../support/mongodb.ts';
import { startContainer, type TestContainer } from '../support/test-container.ts';
import type { BenchEngine } from './engine.ts';
import { WORDS } from './words.ts';

const LOGIN = ['root', 'bench'] as const;

/** The server that speaks MongoDB's protocol, with the vendor's own tools. */
export const MONGODB: BenchEngine<TestContainer> = {
  name: 'MongoDB (FerretDB)',
  async start() {
    const [user, password] = LOGIN;
    const server = await startContainer({
      image: 'backupd-test/ferretdb-mongosh:2.7',
      env: { MONGO_INITDB_ROOT_USERNAME: user, MONGO_INITDB_ROOT_PASSWORD: password },
    });
    await waitUntilReady(server);
    return server;
  },
  fill: async (server, database, scale) => inShell(server, database, fillScript(scale)),
  async version(server) {
    const { stdout } = await server.exec(['mongodump', '--version']);
    return stdout.split('\n')[0] ?? '';
  },
  source: ({ name }, database) => `mongodb://${name}/${database}`,
  restoreArgs: () => [],
  backup: [
    {
      name: 'mongodump --archive | zstd -3 > file; sync',
      script:
        'docker exec "$1" mongodump --quiet --username="$3" --password="$4" --authenticationDatabase=admin --archive --db=large | zstd -q -3 >"$2"',
      args: () => LOGIN,
      atMost: 0.9,
    },
  ],
  restore: {
    name: 'zstd -dc file | mongorestore --archive; sync',
    file: /^large\.archive\.zst$/,
    script: `zstd -dc "$2" | docker exec -i "$1" mongorestore --quiet --username="$3" --password="$4" --authenticationDatabase=admin --archive --nsFrom='large.*' --nsTo='by_hand.*'`,
    args: () => LOGIN,
    atMost: 1.3,
    before: async () => Promise.resolve(),
    after: async (server) => inShell(server, 'by_hand', 'db.dropDatabase()'),
  },
};

async function inShell(server: TestContainer, database: string, script: string): Promise<void> {
  const [user, password] = LOGIN;
  const argv = ['mongosh', '--quiet', '--norc', '-u', user, '-p', password, database];
  const { exitCode, stderr } = await server.exec([...argv, '--file', '/dev/stdin'], {
    input: script,
  });
  if (exitCode !== 0) {
    throw new Error(`mongosh ended with ${exitCode}: ${stderr}`);
  }
}

/** Seeded; scale 1: a dump of about 500 MB. */
function fillScript(scale: number): string {
  const orders = Math.round(1_500_000 * scale);
  return `
let seed = 42;
const random = (most) => (seed = (seed * 48271) % 2147483647) % most;
const words = '${WORDS}'.split(' ');
const text = (count) => Array.from({ length: count }, () => words[random(words.length)]).join(' ');
const texts = Array.from({ length: 20000 }, (_, n) => text(8 + (n % 25)));
for (let from = 0; from < ${orders}; from += 5000) {
  const batch = [];
  for (let n = from; n < Math.min(from + 5000, ${orders}); n++) {
    batch.push({ _id: n, customer: random(30000), status: ['paid', 'shipped', 'returned'][n % 3], total: random(90000) / 100,
      at: new Date(1640995200000 + n * 50000), lines: Array.from({ length: 1 + (n % 4) }, () => ({ product: random(40000), quantity: 1 + random(4), price: random(40000) / 100 })),
      note: texts[n % 20000] });
  }
  db.orders.insertMany(batch, { ordered: false });
}
db.orders.createIndex({ customer: 1 });
db.orders.createIndex({ at: 1, status: 1 });
`;
}
