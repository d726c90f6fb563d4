import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testImage } from '../../support/backupd.ts';
import { openBucketStage, ORDERS, type BucketStage } from '../../support/bucket-stage.ts';
import { blocks, ROOT } from '../../support/documents.ts';
import { postgresIn } from '../../support/postgres.ts';
import { docker, runProcess } from '../../support/run-process.ts';
import { temporaryFolder } from '../../support/storage.ts';
import { containerNamed, testVolume, uniqueName } from '../../support/test-container.ts';

let stage: BucketStage;

beforeAll(async () => {
  stage = await openBucketStage();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test('the blocks of docs/disaster.md bring everything back, one after the other', async () => {
  const text = await readFile(join(ROOT, 'docs/disaster.md'), 'utf8');
  const bucket = await stage.bucket();
  // The old host: a backup that was sent, and then nothing more.
  const manifest = await stage.backUp();
  const sent = await stage.origin.backupd(['upload', '--json'], { env: bucket.env });
  expect(sent.exitCode, sent.stdout + sent.stderr).toBe(0);

  await using folder = await temporaryFolder();
  const [settings = ''] = blocks(text, 'ini');
  const named = [...settings.matchAll(/^(BACKUPD_\w+)=/gm)].map(([, name = '']) => name);
  expect(named.toSorted()).toEqual(Object.keys(bucket.env).toSorted());
  const values = named.map((name) => `${name}=${bucket.env[name] ?? ''}\n`);
  await writeFile(join(folder.dir, 's3.env'), values.join(''));

  await using volume = await testVolume();
  const database = uniqueName('new-db');
  await using _removed = containerNamed(database, database);
  const said: string[] = [];
  // What comes after is for hosts without backupd: stock-tools.test.ts runs it.
  const [withBackupd = ''] = text.split('\n## With stock tools alone\n');
  for (const block of blocks(withBackupd, 'sh')) {
    const script = block
      .replaceAll(/(?<=\s)backupd (?=list|restore|upload)/g, `${testImage()} `)
      .replaceAll('-v backups:', `-v ${volume.name}:`)
      .replaceAll('new-db', database);
    const line = `cd ${folder.dir}\n${script}`;
    const ran = await runProcess(['bash', '-euo', 'pipefail', '-c', line]);
    expect(ran.exitCode, `${script}\n${ran.stdout}${ran.stderr}`).toBe(0);
    said.push(ran.stdout);
  }
  expect(said[0]).toContain(manifest.id);
  const server = postgresIn(containerNamed(database, database), { POSTGRES_PASSWORD: 'change-me' });
  expect(await server.sql(ORDERS, 'shop')).toBe(await stage.server.sql(ORDERS));
  expect(await docker('inspect', '--format', '{{.State.Running}}', database)).toBe('true');
});
