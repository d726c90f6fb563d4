import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  openBucketStage,
  ORDERS,
  type BucketStage,
  type StageBucket,
} from '../../support/bucket-stage.ts';
import { blocks, ROOT, section } from '../../support/documents.ts';
import { newAgeKey, startKeyTools } from '../../support/keys.ts';
import { fingerprintMongodb, startMongodb, type Mongodb } from '../../support/mongodb.ts';
import { startMysql, type Mysql } from '../../support/mysql.ts';
import { startPostgres } from '../../support/postgres.ts';
import { openStockShell, type StockShell } from '../../support/stock-shell.ts';
import { testVolume, uniqueName, type TestVolume } from '../../support/test-container.ts';
import { fingerprintVolume, inVolume, volumeNamed } from '../../support/volume.ts';

const TEXT = await readFile(join(ROOT, 'docs/disaster.md'), 'utf8');
const [LIST = '', FETCH = '', RCLONE = ''] = blocks(section(TEXT, '### Fetch'), 'sh');
const [CHECK = '', AGE = '', GPG = ''] = blocks(section(TEXT, '### Check and decrypt'), 'sh');
const [POSTGRES = '', MARIADB = '', MONGODB = '', VOLUME = ''] = blocks(
  section(TEXT, '### Load'),
  'sh',
);

type Ids = Readonly<Record<string, string>>;

const { identity, recipient } = await newAgeKey();

const started = new AsyncDisposableStack();
let stage: BucketStage;
let bucket: StageBucket;
let crm: Mysql;
let documents: Mongodb;
let uploads: TestVolume;
/** Encrypted with age, by source. */
let sent: Ids;

beforeAll(async () => {
  [stage, crm, documents, uploads] = await Promise.all([
    openBucketStage(),
    startMysql({ image: 'mariadb:11.8' }),
    startMongodb(),
    testVolume(),
  ]);
  for (const each of [stage, crm, documents, uploads]) {
    started.use(each);
  }
  await crm.sql(
    `create table clients (id int primary key, name text); insert into clients values (1, 'Ada'), (2, 'Grace');
     create user clerk identified by 'secret'; grant select on shop.* to clerk;`,
  );
  await documents.js(
    `m.getDB('shop').things.insertMany([{ _id: 1, what: 'one' }, { _id: 2, at: new Date(0) }]); return null`,
  );
  await inVolume(
    uploads.name,
    'mkdir photos; head -c 300000 /dev/urandom > photos/one; ln photos/one two',
  );
  bucket = await stage.bucket();
  sent = await sendBackups({ ...bucket.env, BACKUPD_AGE_RECIPIENTS: recipient });
});
afterAll(async () => {
  await started.disposeAsync();
});

/** Backs up, all sources if none is named, and sends it. @returns the ids, by source */
async function sendBackups(
  settings: Readonly<Record<string, string>>,
  ...only: readonly string[]
): Promise<Ids> {
  const sources = [
    `orders=postgres://${stage.server.name}/shop`,
    `crm=mariadb://${crm.name}/shop`,
    `documents=mongodb://${documents.name}/shop`,
    `uploads=volume://${uploads.name}`,
  ];
  const env = { ...settings, BACKUPD_SOURCES: sources.join(' ') };
  const made = await stage.origin.backupd(['backup', ...only, '--json'], { env });
  expect(made.exitCode, made.stdout + made.stderr).toBe(0);
  const upload = await stage.origin.backupd(['upload', '--json'], { env });
  expect(upload.exitCode, upload.stdout + upload.stderr).toBe(0);
  const { runs } = JSON.parse(made.stdout) as { runs: readonly { source: string; id: string }[] };
  return Object.fromEntries(runs.map(({ source, id }) => [source, id]));
}

/** A machine with the file `s3.env` and the secret key. */
async function openMachine(env = bucket.env): Promise<StockShell> {
  const shell = await openStockShell();
  const lines = Object.entries(env).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(shell.dir, 's3.env'), lines.join(''));
  await writeFile(join(shell.dir, 'backupd-key.txt'), `# a comment\n${identity}\n`);
  return shell;
}

/** Runs blocks of the document for a backup, into this container or volume. @returns what they printed */
async function follow(
  shell: StockShell,
  backup: string,
  into: string,
  ...lines: readonly string[]
): Promise<string> {
  const script = lines
    .join('\n')
    .replaceAll('orders/20261122T020000Z-full-3fa9', backup)
    .replaceAll('shop_uploads.tar', `${uploads.name}.tar`)
    .replaceAll(/new-(?:db|volume)/g, into);
  const { exitCode, stdout, stderr } = await shell.run(script);
  expect(exitCode, `${script}\n${stdout}${stderr}`).toBe(0);
  return stdout;
}

test('PostgreSQL by aws, age, zstd and pg_restore', async () => {
  await using machine = await openMachine();
  await using empty = await startPostgres({ env: { POSTGRES_DB: 'postgres' } });
  const said = await follow(
    machine,
    `orders/${sent['orders']}`,
    empty.name,
    LIST,
    FETCH,
    CHECK,
    AGE,
    POSTGRES,
  );
  for (const [source, id] of Object.entries(sent)) {
    expect(said).toContain(`offsite/shop/${source}/${id}/manifest.json`);
  }
  expect(said).toContain('whole: globals.sql.zst.age\nwhole: shop.dump.zst.age\n');
  expect(said).not.toContain('DAMAGED');
  expect(await empty.sql(ORDERS, 'shop')).toBe(await stage.server.sql(ORDERS));
  // The check can find something.
  const altered = 'cd fetched; printf x >> shop.dump.zst.age; rm *.zst';
  expect(await follow(machine, '', empty.name, altered, CHECK)).toContain(
    'DAMAGED: shop.dump.zst.age',
  );
});

test('MariaDB', async () => {
  await using machine = await openMachine();
  const rows = 'select * from clients order by id';
  const before = await crm.sql(rows);
  await crm.sql('drop database shop; drop user clerk');
  await follow(machine, `crm/${sent['crm']}`, crm.name, LIST, FETCH, CHECK, AGE, MARIADB);
  expect(await crm.sql(rows)).toBe(before);
  expect(await crm.sql(`select count(*) from mysql.user where user = 'clerk'`)).toBe('1');
});

test('MongoDB', async () => {
  await using machine = await openMachine();
  const before = await fingerprintMongodb(documents);
  await documents.js(`m.getDB('shop').dropDatabase(); return null`);
  await follow(
    machine,
    `documents/${sent['documents']}`,
    documents.name,
    LIST,
    FETCH,
    CHECK,
    AGE,
    MONGODB,
  );
  expect(await fingerprintMongodb(documents)).toEqual(before);
});

test('a volume', async () => {
  await using machine = await openMachine();
  await using volume = volumeNamed(uniqueName('volume'));
  await follow(machine, `uploads/${sent['uploads']}`, volume.name, LIST, FETCH, CHECK, AGE, VOLUME);
  expect(await fingerprintVolume(volume.name)).toEqual(await fingerprintVolume(uploads.name));
});

test('PostgreSQL by rclone and gpg, without a prefix', async () => {
  const { BACKUPD_S3_PREFIX: _none, ...env } = bucket.env;
  await using machine = await openMachine(env);
  await using tools = await startKeyTools(machine.dir);
  const { publicKey, secretKey } = await tools.makeGpgKey('backups');
  await writeFile(join(machine.dir, 'backupd-secret.asc'), secretKey);
  const { orders } = await sendBackups({ ...env, BACKUPD_GPG_RECIPIENT_KEYS: publicKey }, 'orders');
  await using empty = await startPostgres({ env: { POSTGRES_DB: 'postgres' } });
  const backup = `orders/${orders}`;
  const byAws = await follow(machine, backup, empty.name, LIST, FETCH, 'cd ..; rm -r fetched');
  expect(byAws).toContain(` shop/${backup}/manifest.json`);
  const said = await follow(machine, backup, empty.name, RCLONE, CHECK, GPG, POSTGRES);
  expect(said).toContain(`shop/${backup}/manifest.json`);
  expect(said).toContain('whole: globals.sql.zst.gpg\nwhole: shop.dump.zst.gpg\n');
  expect(said).not.toContain('DAMAGED');
  expect(await empty.sql(ORDERS, 'shop')).toBe(await stage.server.sql(ORDERS));
});
