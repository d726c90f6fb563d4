import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBucketStage, ORDERS, type BucketStage } from '../../support/bucket-stage.ts';
import { openCommandBox, type CommandBox } from '../../support/command-box.ts';
import { blocks, section } from '../../support/documents.ts';
import { newAgeKey, STOCK_TOOLS } from '../../support/keys.ts';
import { postgresIn } from '../../support/postgres.ts';
import { runProcess } from '../../support/run-process.ts';
import { temporaryFolder } from '../../support/storage.ts';
import { containerNamed, testVolume, uniqueName } from '../../support/test-container.ts';
import { fingerprintVolume, inVolume, volumeNamed } from '../../support/volume.ts';

/** Who makes copies in a bucket, and writes down how they are restored. */
interface Author {
  readonly host: Pick<CommandBox, 'backupd'>;
  /** The bucket, as the host reaches it. */
  readonly env: Readonly<Record<string, string>>;
  /** The names of new containers and volumes begin so in the text. */
  readonly stem: string;
}

/** A runbook, and somebody who follows it. */
interface Reader extends AsyncDisposable {
  readonly text: string;
  /** Where the person is. */
  readonly folder: string;
  /** What those names begin with instead, so that no other test has them. */
  readonly stem: string;
  /** Runs a block of shell under a heading as somebody types it. */
  type(heading: string, index?: number): Promise<string>;
}

async function openRunbook({ host, env, stem }: Author): Promise<Reader> {
  await using stack = new AsyncDisposableStack();
  const { dir: folder } = stack.use(await temporaryFolder());
  const backups = stack.use(await testVolume());
  const sent = await host.backupd(['upload', '--json'], { env });
  expect(sent.exitCode, sent.stdout + sent.stderr).toBe(0);
  const written = await host.backupd(['runbook'], { env });
  expect(written.exitCode, written.stderr).toBe(0);
  const text = written.stdout;
  expect(text).not.toContain(env['BACKUPD_S3_SECRET_ACCESS_KEY']);
  // Where something is encrypted.
  const [before = ''] = blocks(section(text, '## Where everything is'), 'text');
  const [settings = ''] = blocks(section(text, '## Destination s3'), 'ini');
  const filled = settings.replaceAll(/^(\w+)=$/gm, (_, name: string) => `${name}=${env[name]}`);
  await writeFile(join(folder, 's3.env'), filled, { mode: 0o600 });
  const kept = stack.move();
  const own = uniqueName(stem);
  // This machine need not have them.
  const tools = ['age', 'zstd'].map(
    (tool) =>
      `${tool}() { docker run --rm -i -v ${folder}:${folder}:ro -w "$PWD" ${STOCK_TOOLS} ${tool} "$@"; }`,
  );
  return {
    text,
    folder,
    stem: own,
    async type(heading, index = 0) {
      const block = blocks(section(text, heading), 'sh')[index] ?? '';
      expect(block, heading).not.toBe('');
      const script = block
        // There is nobody in front of a terminal.
        .replaceAll('docker exec -it', 'docker exec')
        .replaceAll('-v backups:', `-v ${backups.name}:`)
        .replaceAll(stem, own);
      const shell = [`cd ${folder}`, ...tools, before, script].join('\n');
      const ran = await runProcess(['bash', '-euo', 'pipefail', '-c', shell]);
      expect(ran.exitCode, `${script}\n${ran.stdout}${ran.stderr}`).toBe(0);
      return ran.stdout;
    },
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

const stack = new AsyncDisposableStack();
let stage: BucketStage;

beforeAll(async () => {
  stage = stack.use(await openBucketStage());
});
afterAll(async () => {
  await stack.disposeAsync();
});

describe('the runbook of a database', () => {
  let reader: Reader;
  let wanted: string;

  beforeAll(async () => {
    const { env } = await stage.bucket();
    await stage.backUp();
    wanted = await stage.server.sql(ORDERS);
    reader = stack.use(await openRunbook({ host: stage.origin, env, stem: 'new-orders' }));
  });

  /** What is in the server that a block has made. */
  async function ordersIn(suffix: string): Promise<string> {
    const name = `${reader.stem}-${suffix}`;
    const server = postgresIn(containerNamed(name, name), { POSTGRES_PASSWORD: 'change-me' });
    return server.sql(ORDERS, 'shop');
  }

  test('how everything stands', async () => {
    expect(await reader.type('## First')).toContain('orders');
  });

  test('a restore here, and the way back', async () => {
    await stage.server.sql('delete from orders where id < 500');
    await reader.type('### orders: here');
    expect(await stage.server.sql(ORDERS)).toBe(wanted);
    await reader.type('### orders: here', 1);
    expect(await stage.server.sql('select count(*) from orders')).toBe('501');
  });

  test.each([
    ['beside, into an empty one', 'look'],
    ['on another host, from s3', 's3'],
    ['with stock tools alone', 'stock'],
  ])('a restore %s', async (title, suffix) => {
    const name = `${reader.stem}-${suffix}`;
    await using _removed = containerNamed(name, name);
    await reader.type(`### orders: ${title}`);
    expect(await ordersIn(suffix)).toBe(wanted);
  });
});

describe('the runbook of a volume whose key is elsewhere', () => {
  let reader: Reader;
  let volume: string;
  let wanted: Awaited<ReturnType<typeof fingerprintVolume>>;

  beforeAll(async () => {
    const { env } = await stage.bucket();
    const { identity, recipient } = await newAgeKey();
    volume = stack.use(await testVolume()).name;
    await inVolume(volume, 'mkdir a; echo b >a/b; ln a/b c; chown -R 33:33 .; chmod 700 a');
    wanted = await fingerprintVolume(volume);
    expect(wanted).not.toEqual([]);
    const host = stack.use(
      await openCommandBox({
        ...env,
        BACKUPD_NAMESPACE: 'shop',
        BACKUPD_SOURCES: `uploads=volume://${volume}`,
        BACKUPD_AGE_RECIPIENTS: recipient,
      }),
    );
    const made = await host.backupd(['backup', 'uploads']);
    expect(made.exitCode, made.stderr).toBe(0);
    reader = stack.use(await openRunbook({ host, env, stem: 'new-uploads' }));
    expect(reader.text).not.toContain(identity);
    await writeFile(join(reader.folder, 'backupd-key.txt'), `${identity}\n`, { mode: 0o600 });
  });

  test('a restore here, and the way back', async () => {
    await inVolume(volume, 'rm -r a');
    const changed = await fingerprintVolume(volume);
    await reader.type('### uploads: here');
    expect(await fingerprintVolume(volume)).toEqual(wanted);
    await reader.type('### uploads: here', 1);
    expect(await fingerprintVolume(volume)).toEqual(changed);
  });

  test.each([
    ['beside, into an empty one', 'look'],
    ['on another host, from s3', 's3'],
    ['with stock tools alone', 'stock'],
  ])('a restore %s', async (title, suffix) => {
    await using made = volumeNamed(`${reader.stem}-${suffix}`);
    await reader.type(`### uploads: ${title}`);
    expect(await fingerprintVolume(made.name)).toEqual(wanted);
  });
});
