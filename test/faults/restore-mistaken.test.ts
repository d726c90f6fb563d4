import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRestoreStage, type RestoreStage } from '../support/restore-stage.ts';

let stage: RestoreStage;
/** Oldest first. */
let ids: readonly string[];

beforeAll(async () => {
  stage = await openRestoreStage({
    sql: 'create table orders (id int); create database crm;',
    settings: { BACKUPD_KEEP: 'all' },
  });
  const made: string[] = [];
  for (const number of [1, 2]) {
    await stage.server.sql(`create table added_${number} ()`);
    const { runs } = await stage.json<{ runs: readonly { id: string }[] }>(['backup', 'db']);
    made.push(runs[0]?.id ?? '');
  }
  ids = made;
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** What the server has, which nothing here may change. */
async function databases(): Promise<string> {
  return stage.server.sql('select oid, datname from pg_database order by oid', 'postgres');
}

test.each([
  ['an id that is not there', ['restore', 'db', '--at', '20200101T000000Z-full-0000'], 10],
  ['an instant before every backup', ['restore', 'db', '--at', '2020-01-01T00:00'], 10],
  ['no instant at all', ['restore', 'db', '--at', 'yesterday'], 2],
  ['the beginning of several ids', ['restore', 'db', '--at', '2'], 2],
  ['a database that is not in it', ['restore', 'db', '--database', 'nope'], 10],
  ['a source that is not there', ['restore', 'nope'], 16],
  ['a container that is not there', ['restore', 'db', '--into', 'nope'], 20],
  ['one name for two databases', ['restore', 'db', '--as', 'one'], 2],
  ['nothing to undo', ['restore', 'db', '--undo'], 17],
  ['an unknown option', ['restore', 'db', '--nope'], 2],
  ['the file of no backup', ['cat', '20200101T000000Z-full-0000', 'x'], 10],
  ['the verification of an unknown source', ['verify', 'nope'], 16],
  ['a list of an unknown source', ['list', 'nope'], 16],
] as const)('%s', async (_, args, exitCode) => {
  const before = await databases();
  const result = await stage.backupd([...args, '--json']);
  expect(result, result.stderr).toMatchObject({ exitCode, stdout: '' });
  expect(JSON.parse(result.stderr)).toMatchObject({ error: { exitCode } });
  expect(await databases()).toBe(before);
});

test('an instant means the newest backup begun at or before it, and the plan says what is lacking', async () => {
  const [oldest = ''] = ids;
  const { manifest } = await manifestOf(oldest);
  const at = new Date(Date.parse(manifest.startedAt) + 1).toISOString();
  const plan = await stage.backupd(['restore', 'db', '--at', at, '--dry-run', '--json']);
  expect(JSON.parse(plan.stdout)).toMatchObject({ id: oldest, gap: null });
  const far = await stage.backupd(['restore', 'db', '--at', '2099-01-01', '--dry-run', '--json']);
  expect(JSON.parse(far.stdout)).toMatchObject({
    id: ids.at(-1),
    gap: expect.stringContaining('before 2099-01-01') as unknown,
  });
});

test('databases that were kept and then dropped by hand are forgotten by the next backup', async () => {
  const kept = await restoreShop();
  expect(await previousInStatus()).toEqual([kept]);
  await stage.json(['backup', 'db']);
  expect(await previousInStatus()).toEqual([kept]);
  await stage.server.sql(`drop database "${kept}"`, 'postgres');
  await stage.json(['backup', 'db']);
  expect(await previousInStatus()).toEqual([]);
});

test('a database that was kept and that somebody took into use again is backed up, and never dropped', async () => {
  const kept = await restoreShop();
  await stage.server.sql(
    `alter database shop rename to set_aside; alter database "${kept}" rename to shop;`,
    'postgres',
  );
  const { runs } = await stage.json<{ runs: readonly { id: string }[] }>(['backup', 'db']);
  const made = await stage.json<{ databases: readonly string[] }>(['show', runs[0]?.id ?? '']);
  expect(made.databases).toContain('shop');
  expect(await previousInStatus()).toEqual([]);
  const before = await databases();
  for (const args of [['--drop-previous', '--yes'], ['--undo']]) {
    const { exitCode, stderr } = await stage.backupd(['restore', 'db', ...args]);
    expect(exitCode, stderr).toBe(17);
  }
  expect(await databases()).toBe(before);
});

test('where what was kept is gone, a dry run of the undo says so too, and status does not take that for a restore', async () => {
  const kept = await restoreShop();
  await stage.server.sql(`drop database "${kept}"`, 'postgres');
  for (const args of [['--undo', '--dry-run'], ['--undo']]) {
    const { exitCode, stderr } = await stage.backupd(['restore', 'db', ...args]);
    expect(exitCode, stderr).toBe(17);
  }
  const { stdout } = await stage.backupd(['status', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ sources: [{ lastRestore: { outcome: 'success' } }] });
});

/** @returns the name under which the restore keeps what it replaced */
async function restoreShop(): Promise<string> {
  const { databases: restored } = await stage.json<{
    databases: readonly { previous: string }[];
  }>(['restore', 'db', '--database', 'shop', '--yes']);
  return restored[0]?.previous ?? '';
}

async function previousInStatus(): Promise<readonly string[]> {
  const { stdout } = await stage.backupd(['status', '--json']);
  const status = JSON.parse(stdout) as { sources: readonly { previous: readonly string[] }[] };
  return status.sources.flatMap(({ previous }) => previous);
}

async function manifestOf(id: string): Promise<{ manifest: { startedAt: string } }> {
  const text = await readFile(join(stage.dir, 'db', id, 'manifest.json'), 'utf8');
  return { manifest: JSON.parse(text) as { startedAt: string } };
}
