import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runBackupd, testImage } from '../../support/backupd.ts';
import { openBucketStage, ORDERS, type BucketStage } from '../../support/bucket-stage.ts';
import { blocks, ROOT, section } from '../../support/documents.ts';
import { otherDisk } from '../../support/other-disk.ts';
import { postgresIn, type Postgres } from '../../support/postgres.ts';
import { runProcess } from '../../support/run-process.ts';
import { temporaryFolder } from '../../support/storage.ts';
import { containerNamed, testVolume, uniqueName } from '../../support/test-container.ts';

const TEXT = await readFile(join(ROOT, 'docs/disaster.md'), 'utf8');

let stage: BucketStage;

beforeAll(async () => {
  stage = await openBucketStage();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test('the blocks of docs/disaster.md bring everything back, one after the other', async () => {
  const bucket = await stage.bucket();
  // The old host: a backup that was sent, and then nothing more.
  const manifest = await stage.backUp();
  const sent = await stage.origin.backupd(['upload', '--json'], { env: bucket.env });
  expect(sent.exitCode, sent.stdout + sent.stderr).toBe(0);

  await using folder = await temporaryFolder();
  const [settings = ''] = blocks(TEXT, 'ini');
  const named = [...settings.matchAll(/^(BACKUPD_\w+)=/gm)].map(([, name = '']) => name);
  expect(named.toSorted()).toEqual(Object.keys(bucket.env).toSorted());
  const values = named.map((name) => `${name}=${bucket.env[name] ?? ''}\n`);
  await writeFile(join(folder.dir, 's3.env'), values.join(''));

  await using host = await openHost(folder.dir);
  const said: string[] = [];
  for (const heading of [
    '## 2. Look at what there is',
    '## 3. Start an empty database',
    '## 4. See what would be done, and do it',
    '## 5. Go on making backups',
  ]) {
    const all = blocks(section(TEXT, heading), 'sh');
    // A server of each engine is started there, PostgreSQL first.
    for (const block of heading.startsWith('## 3') ? all.slice(0, 1) : all) {
      said.push(await host.type(block));
    }
  }
  expect(said[0]).toContain(manifest.id);
  expect(await host.server.sql(ORDERS, 'shop')).toBe(await stage.server.sql(ORDERS));
});

test('the same from a directory', async () => {
  await using nas = await otherDisk();
  const manifest = await stage.backUp();
  const sent = await runBackupd(['upload', 'nas'], {
    backups: stage.origin.dir,
    volumes: [`${nas.path}:/copies`],
    user: '0:0',
    env: {
      BACKUPD_SOURCES: `orders=postgres://${stage.server.name}/shop`,
      BACKUPD_DESTINATIONS: 'nas',
      BACKUPD_DEST_NAS_PATH: '/copies',
    },
  });
  expect(sent.exitCode, sent.stdout + sent.stderr).toBe(0);

  await using host = await openHost('/', nas.path);
  const [list = '', restore = '', takeOver = ''] = blocks(
    section(TEXT, '## From a NAS, or another disk'),
    'sh',
  );
  const [start = ''] = blocks(section(TEXT, '## 3. Start an empty database'), 'sh');
  expect(await host.type(list)).toContain(manifest.id);
  await host.type(start);
  await host.type(restore);
  expect(await host.server.sql(ORDERS, 'shop')).toBe(await stage.server.sql(ORDERS));
  await host.type(takeOver);
});

interface Host extends AsyncDisposable {
  /** The database that is started there. */
  readonly server: Postgres;
  /** Runs a block of the document as somebody types it. @returns what it printed */
  type(block: string): Promise<string>;
}

/** A host with nothing but the image. */
async function openHost(dir: string, nas = '/mnt/nas'): Promise<Host> {
  await using stack = new AsyncDisposableStack();
  const volume = stack.use(await testVolume());
  const database = uniqueName('new-db');
  const container = stack.use(containerNamed(database, database));
  const kept = stack.move();
  return {
    server: postgresIn(container, { POSTGRES_PASSWORD: 'change-me' }),
    async type(block) {
      const script = block
        .replaceAll(/(?<=\s)backupd (?=list|restore|upload)/g, `${testImage()} `)
        .replaceAll('-v shop_backups:', `-v ${volume.name}:`)
        .replaceAll('/mnt/nas:', `${nas}:`)
        .replaceAll('new-db', database);
      const line = `cd ${dir}\n${script}`;
      const ran = await runProcess(['bash', '-euo', 'pipefail', '-c', line]);
      expect(ran.exitCode, `${script}\n${ran.stdout}${ran.stderr}`).toBe(0);
      return ran.stdout;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
