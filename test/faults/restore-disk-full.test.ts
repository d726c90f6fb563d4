import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DatabaseFingerprint } from '../support/fingerprint.ts';
import {
  openRestoreStage,
  setLinger,
  SLOW_SQL,
  untilLoading,
  type RestoreStage,
} from '../support/restore-stage.ts';

const DATA = '/var/lib/postgresql/data';
const MB = 1024 * 1024;
/** The server's own size, what `shop` has, and room to load it once more. */
const DISK = '360m';

let stage: RestoreStage;
let id: string;
let before: DatabaseFingerprint;

beforeAll(async () => {
  stage = await openRestoreStage({
    databases: ['shop', 'slow'],
    tmpfs: { [DATA]: `size=${DISK}` },
    args: ['fsync=off', 'max_wal_size=64MB', 'min_wal_size=32MB'].flatMap((setting) => [
      '-c',
      setting,
    ]),
    // Text that neither TOAST nor an archive can make small.
    sql: `
      create table orders as select n as id, (select string_agg(md5(random()::text), '') from generate_series(1, 40 + n % 2)) as what
        from generate_series(1, 40000) as n;
      checkpoint;
      ${SLOW_SQL}`,
  });
  const backup = await stage.json<{ runs: { id: string }[] }>(['backup', 'db']);
  id = backup.runs[0]?.id ?? '';
  await stage.server.sql('create table added (id int)');
  before = await stage.content('shop');
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

async function freeBytes(): Promise<number> {
  const { stdout } = await stage.server.exec(['df', '-B1', '--output=avail', DATA]);
  return Number(stdout.split('\n')[1]);
}

/** Something else takes the disk of the server, but for so much. */
async function fillDisk(leftBytes: number): Promise<void> {
  const size = (await freeBytes()) - leftBytes;
  const filled = await stage.server.exec(['fallocate', '-l', `${size}`, `${DATA}/filler`], {
    user: 'root',
  });
  expect(filled.exitCode, filled.stderr).toBe(0);
}

async function clearDisk(): Promise<void> {
  await stage.server.exec(['rm', '-f', `${DATA}/filler`], { user: 'root' });
}

/** The server can be written to, nothing was changed, and nothing is left. */
async function expectUntouched(): Promise<void> {
  await stage.server.sql('insert into added values (1); delete from added');
  expect(await stage.content('shop')).toEqual(before);
  expect(await stage.leftovers()).toEqual([]);
  expect(await stage.server.logs()).not.toMatch(/PANIC|No space left/);
}

test('too little space to begin: refused with 40', async () => {
  await fillDisk(60 * MB);
  const result = await stage.backupd(['restore', 'db', '--json']);
  expect(result, result.stderr).toMatchObject({ exitCode: 40, stdout: '' });
  expect(JSON.parse(result.stderr)).toMatchObject({ error: { code: 'no-space' } });
  await expectUntouched();
  await clearDisk();
});

test('something else fills the disk in the midst of the load: ended in time with 22', async () => {
  await setLinger(stage.server, 'on');
  const ended = stage.backupd(['restore', 'db', '--database', 'slow', '--json']);
  await untilLoading(stage.server);
  await fillDisk(24 * MB);
  const result = await ended;
  expect(result, result.stderr).toMatchObject({ exitCode: 22, stdout: '' });
  expect(JSON.parse(result.stderr)).toMatchObject({
    error: { code: 'restore-failed', message: expect.stringContaining('MB left') as unknown },
  });
  await expectUntouched();
  await clearDisk();
  await setLinger(stage.server, 'off');
});

test('a backup that needs more than was recorded: ended before the disk is full', async () => {
  const path = join(stage.dir, 'db', id, 'manifest.json');
  const text = await readFile(path, 'utf8');
  const manifest = JSON.parse(text) as {
    facts: { databases: { shop: { sizeBytes: number } } };
  };
  const { sizeBytes } = manifest.facts.databases.shop;
  manifest.facts.databases.shop.sizeBytes = 1;
  await writeFile(path, JSON.stringify(manifest));
  await fillDisk(sizeBytes);

  const result = await stage.backupd(['restore', 'db', '--database', 'shop', '--json']);
  expect(result, result.stderr).toMatchObject({ exitCode: 22, stdout: '' });
  expect(JSON.parse(result.stderr)).toMatchObject({
    error: { code: 'restore-failed', message: expect.stringContaining('MB left') as unknown },
  });
  await expectUntouched();
  await clearDisk();
  await writeFile(path, text);
});

test('with the space there again the restore works', async () => {
  const restored = await stage.backupd(['restore', 'db', '--json']);
  expect(restored, restored.stderr).toMatchObject({ exitCode: 0 });
  expect(await stage.server.sql(`select to_regclass('added') is null`)).toBe('t');
  await stage.json(['restore', 'db', '--undo']);
  expect(await stage.content('shop')).toEqual(before);
});
