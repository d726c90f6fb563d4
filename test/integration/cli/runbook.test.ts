import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBucketStage, ORDERS, type BucketStage } from '../../support/bucket-stage.ts';
import { blocks, section } from '../../support/documents.ts';
import { postgresIn } from '../../support/postgres.ts';
import { runProcess } from '../../support/run-process.ts';
import { temporaryFolder } from '../../support/storage.ts';
import { containerNamed, testVolume, uniqueName } from '../../support/test-container.ts';

/** This machine need not have them. */
const TOOLS = `zstd() { docker run --rm -i -v "$PWD":"$PWD":ro -w "$PWD" backupd-test/key-tools:1 zstd "$@"; }`;

const stack = new AsyncDisposableStack();
const stem = uniqueName('new-orders');
let stage: BucketStage;
let text: string;
let wanted: string;
let folder: string;
let volume: string;

beforeAll(async () => {
  stage = stack.use(await openBucketStage());
  folder = stack.use(await temporaryFolder()).dir;
  volume = stack.use(await testVolume()).name;
  const { env } = await stage.bucket();
  await stage.backUp();
  wanted = await stage.server.sql(ORDERS);
  const sent = await stage.origin.backupd(['upload', '--json'], { env });
  expect(sent.exitCode, sent.stdout + sent.stderr).toBe(0);
  const written = await stage.origin.backupd(['runbook'], { env });
  expect(written.exitCode, written.stderr).toBe(0);
  text = written.stdout;
  expect(text).not.toContain(env['BACKUPD_S3_SECRET_ACCESS_KEY']);
  const [settings = ''] = blocks(section(text, '## Destination s3'), 'ini');
  const filled = settings.replaceAll(/^(\w+)=$/gm, (_, name: string) => `${name}=${env[name]}`);
  await writeFile(join(folder, 's3.env'), filled, { mode: 0o600 });
});
afterAll(async () => {
  await stack.disposeAsync();
});

/** Runs a block of shell under a heading as somebody types it. */
async function type(heading: string, index = 0): Promise<string> {
  const block = blocks(section(text, heading), 'sh')[index] ?? '';
  expect(block, heading).not.toBe('');
  const script = block
    // There is nobody in front of a terminal.
    .replaceAll('docker exec -it', 'docker exec')
    .replaceAll('-v backups:', `-v ${volume}:`)
    .replaceAll('new-orders', stem);
  const argv = ['bash', '-euo', 'pipefail', '-c', `cd ${folder}\n${TOOLS}\n${script}`];
  const ran = await runProcess(argv);
  expect(ran.exitCode, `${script}\n${ran.stdout}${ran.stderr}`).toBe(0);
  return ran.stdout;
}

/** What is in the server that a block has made. */
async function ordersIn(suffix: string): Promise<string> {
  const name = `${stem}-${suffix}`;
  const server = postgresIn(containerNamed(name, name), { POSTGRES_PASSWORD: 'change-me' });
  return server.sql(ORDERS, 'shop');
}

test('how everything stands', async () => {
  expect(await type('## First')).toContain('orders');
});

test('a restore here, and the way back', async () => {
  await stage.server.sql('delete from orders where id < 500');
  await type('### orders: here');
  expect(await stage.server.sql(ORDERS)).toBe(wanted);
  await type('### orders: here', 1);
  expect(await stage.server.sql('select count(*) from orders')).toBe('501');
});

test.each([
  ['beside, into an empty one', 'look'],
  ['on another host, from s3', 's3'],
  ['with stock tools alone', 'stock'],
])('a restore %s', async (title, suffix) => {
  const name = `${stem}-${suffix}`;
  await using _removed = containerNamed(name, name);
  await type(`### orders: ${title}`);
  expect(await ordersIn(suffix)).toBe(wanted);
});
