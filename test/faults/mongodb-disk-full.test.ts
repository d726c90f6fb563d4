import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCommandBox, type CommandBox } from '../support/command-box.ts';
import {
  fingerprintMongodb,
  listEverything,
  startMongodb,
  type Mongodb,
  type MongodbFingerprint,
} from '../support/mongodb.ts';

const DATA = '/data/db';
const MB = 1024 * 1024;

let server: Mongodb;
let box: CommandBox;
let before: MongodbFingerprint;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  server = stack.use(await startMongodb({ tmpfs: { [DATA]: 'size=700m,mode=1777' } }));
  await server.js(`
    for (let part = 0; part < 10; part += 1) {
      const some = [];
      for (let n = 0; n < 500; n += 1) {
        let text = '';
        while (text.length < 6000) { text += Math.random().toString(36).slice(2); }
        some.push({ _id: part * 500 + n, text });
      }
      db.orders.insertMany(some);
    }`);
  box = stack.use(await openCommandBox({ BACKUPD_SOURCES: `db=mongodb://${server.name}` }));
  await box.json(['backup', 'db']);
  await server.js('db.added.insertOne({ _id: 1 })');
  before = await fingerprintMongodb(server);
});

afterAll(async () => {
  await stack.disposeAsync();
});

/** Something else takes the disk of the server, but for so much. */
async function fillDisk(leftBytes: number): Promise<AsyncDisposable> {
  const { stdout } = await server.exec(['df', '-B1', '--output=avail', DATA]);
  const size = Number(stdout.split('\n')[1]) - leftBytes;
  const filled = await server.exec(['fallocate', '-l', `${size}`, `${DATA}/filler`], {
    user: 'root',
  });
  expect(filled.exitCode, filled.stderr).toBe(0);
  return {
    async [Symbol.asyncDispose]() {
      await server.exec(['rm', '-f', `${DATA}/filler`], { user: 'root' });
    },
  };
}

/** The server can be written to, nothing was changed, and nothing is left. */
async function expectUntouched(): Promise<void> {
  await server.js('db.more.insertOne({ _id: 1 }); db.more.drop()');
  expect(await fingerprintMongodb(server)).toEqual(before);
  expect(await listEverything(server)).toEqual(['shop']);
}

test('a disk that has too little space to begin refuses a restore with 40', async () => {
  await using _filled = await fillDisk(60 * MB);
  const result = await box.backupd(['restore', 'db', '--json']);
  expect(result, result.stderr).toMatchObject({ exitCode: 40, stdout: '' });
  await expectUntouched();
});

test('a disk that a backup fills which needs more than was recorded: ended before it is full, with 22', async () => {
  const [found] = await box.json<readonly { readonly id: string }[]>(['list', 'db']);
  const path = join(box.dir, 'db', found?.id ?? '', 'manifest.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as {
    facts: { databases: { shop: { sizeBytes: number } } };
  };
  manifest.facts.databases.shop.sizeBytes = 1;
  await writeFile(path, JSON.stringify(manifest));
  {
    await using _filled = await fillDisk(70 * MB);
    const result = await box.backupd(['restore', 'db', '--json']);
    expect(result, result.stderr).toMatchObject({ exitCode: 22, stdout: '' });
    expect(JSON.parse(result.stderr)).toMatchObject({
      error: { code: 'restore-failed', message: expect.stringContaining('MB left') as unknown },
    });
    await expectUntouched();
  }
  await box.json(['restore', 'db']);
  expect((await fingerprintMongodb(server))['shop']?.['added']).toBeUndefined();
});
