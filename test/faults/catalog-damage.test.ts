import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { having } from '../support/matchers.ts';
import { killIn, PROGRAM } from '../support/processes.ts';
import { openRestoreStage, type RestoreStage } from '../support/restore-stage.ts';
import type { ProcessResult } from '../support/run-process.ts';

const ARCHIVE = 'shop.dump.zst';
/** Of the copies of the directory only the backups: each gets an identity of its own. */
const BASE = 'base';

let stage: RestoreStage;
/** Oldest first; it is the last one that is damaged. */
let ids: readonly string[];

beforeAll(async () => {
  stage = await openRestoreStage({
    settings: { BACKUPD_NAMESPACE: 'demo' },
    sql: `create table orders as select n as id, md5(n::text) as what from generate_series(1, 3000) as n; create database crm;`,
  });
  await mkdir(join(stage.dir, BASE));
  const made: string[] = [];
  for (const number of [1, 2, 3]) {
    await stage.server.sql(`create table added_${number} ()`);
    const { stdout, stderr } = await inFolder(BASE, 'backup', 'db', '--json');
    const { runs } = JSON.parse(stdout) as { runs: readonly { id: string }[] };
    expect(runs, stderr).toHaveLength(1);
    made.push(runs[0]?.id ?? '');
  }
  ids = made;
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** Runs a command on a directory; in copies retention keeps no more than it must. */
async function inFolder(folder: string, ...args: readonly string[]): Promise<ProcessResult> {
  const keep = folder === BASE ? 'all' : 'last=1';
  return stage.backupd(args, {
    env: { BACKUPD_DIR: `/backups/${folder}`, BACKUPD_KEEP: keep },
  });
}

let copies = 0;

/** A copy of the backups for one test, with what it needs to know of it. */
async function copyBackups(): Promise<{ readonly folder: string; readonly dir: string }> {
  copies += 1;
  const folder = `copy-${copies}`;
  const dir = join(stage.dir, folder);
  await cp(join(stage.dir, BASE, 'db'), join(dir, 'db'), { recursive: true });
  return { folder, dir };
}

/** What the server has, which no failed restore may change. */
async function databases(): Promise<string> {
  return stage.server.sql('select oid, datname from pg_database order by oid', 'postgres');
}

interface Damage {
  readonly what: string;
  /** `backup` is the folder of the backup. */
  readonly inflict: (backup: string) => Promise<void>;
  readonly exitCode: number;
  readonly code: string;
  /** Whether its manifest still says that there is a backup. */
  readonly listed: boolean;
}

async function changeArchive(backup: string, change: (stored: Buffer) => Buffer): Promise<void> {
  const path = join(backup, ARCHIVE);
  await writeFile(path, change(await readFile(path)));
}

async function changeManifest(
  backup: string,
  change: (manifest: Record<string, unknown>) => Record<string, unknown>,
): Promise<void> {
  const path = join(backup, 'manifest.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await writeFile(path, JSON.stringify(change(manifest)));
}

function flipBit(stored: Buffer): Buffer {
  const flipped = Buffer.from(stored);
  const middle = Math.floor(flipped.length / 2);
  flipped.writeUInt8(flipped.readUInt8(middle) ^ 1, middle);
  return flipped;
}

const CORRUPT = { exitCode: 13, code: 'archive-corrupt' };

const DAMAGES: readonly Damage[] = [
  {
    what: 'a flipped bit',
    inflict: (backup) => changeArchive(backup, flipBit),
    ...CORRUPT,
    listed: true,
  },
  {
    what: 'a file cut short',
    inflict: (backup) => changeArchive(backup, (stored) => stored.subarray(0, -1)),
    ...CORRUPT,
    listed: true,
  },
  {
    what: 'an emptied file',
    inflict: (backup) => changeArchive(backup, () => Buffer.alloc(0)),
    ...CORRUPT,
    listed: true,
  },
  {
    what: 'a doubled file',
    inflict: (backup) => changeArchive(backup, (stored) => Buffer.concat([stored, stored])),
    ...CORRUPT,
    listed: true,
  },
  {
    what: 'a missing file',
    inflict: (backup) => rm(join(backup, ARCHIVE)),
    ...CORRUPT,
    listed: true,
  },
  {
    what: 'another frame behind the end',
    inflict: (backup) =>
      changeArchive(backup, (stored) =>
        Buffer.concat([stored, zstdCompressSync(Buffer.from('more'))]),
      ),
    ...CORRUPT,
    listed: true,
  },
  {
    what: 'bytes behind the end',
    inflict: (backup) =>
      changeArchive(backup, (stored) => Buffer.concat([stored, Buffer.alloc(512)])),
    ...CORRUPT,
    listed: true,
  },
  {
    what: 'a manifest of a newer format',
    inflict: (backup) => changeManifest(backup, (manifest) => ({ ...manifest, format: 2 })),
    exitCode: 14,
    code: 'format-unsupported',
    listed: false,
  },
  {
    what: 'a manifest that is no JSON',
    inflict: (backup) => writeFile(join(backup, 'manifest.json'), '{"format": 1, "id'),
    ...CORRUPT,
    listed: false,
  },
  {
    what: 'a missing manifest',
    inflict: (backup) => rm(join(backup, 'manifest.json')),
    ...CORRUPT,
    listed: false,
  },
  {
    what: 'the manifest of another backup',
    inflict: (backup) =>
      changeManifest(backup, (manifest) => ({
        ...manifest,
        id: String(manifest['id']).replace(/....$/, 'ffff'),
      })),
    ...CORRUPT,
    listed: false,
  },
  {
    what: 'the manifest of another source',
    inflict: (backup) => changeManifest(backup, (manifest) => ({ ...manifest, source: 'other' })),
    ...CORRUPT,
    listed: false,
  },
];

test.concurrent.each(DAMAGES)(
  '$what: that backup is refused and reported, and nothing else is affected',
  async ({ inflict, exitCode, code, listed }) => {
    const { folder, dir } = await copyBackups();
    const [oldest = '', middle = '', newest = ''] = ids;
    await inflict(join(dir, 'db', newest));
    const before = await databases();
    const readable = listed ? [newest, middle, oldest] : [middle, oldest];

    const list = await inFolder(folder, 'list', '--json');
    expect(list).toMatchObject({ exitCode: 0, stderr: '' });
    expect((JSON.parse(list.stdout) as { id: string }[]).map(({ id }) => id)).toEqual(readable);

    const restore = await inFolder(folder, 'restore', 'db', '--at', newest, '--json');
    expect(restore).toMatchObject({ exitCode, stdout: '' });
    expect(JSON.parse(restore.stderr)).toMatchObject({ error: { code, exitCode } });
    expect(await databases()).toBe(before);
    // Whoever tries again is given another one.
    await expectLatest(folder, middle);

    const cat = await inFolder(folder, 'cat', newest, ARCHIVE);
    expect(cat.exitCode, cat.stderr).toBe(exitCode);

    const verify = await inFolder(folder, 'verify', 'db', '--json');
    expect(verify).toMatchObject({ exitCode, stderr: '' });
    expect(JSON.parse(verify.stdout)).toEqual([
      having({ id: newest, ok: false, error: having({ code }) }),
      having({ id: middle, ok: true, error: null }),
      having({ id: oldest, ok: true, error: null }),
    ]);

    await expectReported(folder, join('db', newest));
    const warnings = await expectLatest(folder, middle);
    expect(warnings).toContainEqual(
      having({
        message: expect.stringContaining(`backup ${newest} is newer and not used`) as unknown,
      }),
    );

    const pruned = await inFolder(folder, 'prune', 'db', '--json');
    expect(pruned.exitCode, pruned.stderr + pruned.stdout).toBe(0);
    expect((await readdir(join(dir, 'db'))).toSorted()).toEqual([middle, newest]);

    const backup = await inFolder(folder, 'backup', 'db', '--json');
    expect(backup.exitCode, backup.stdout).toBe(0);
    const { runs } = JSON.parse(backup.stdout) as { runs: { id: string; outcome: string }[] };
    await expectLatest(folder, runs[0]?.id ?? '');
    // Retention takes what was found damaged once it is the newest no more; what cannot be read is none of its business.
    expect((await readdir(join(dir, 'db'))).includes(newest)).toBe(!listed);
  },
);

/** `check` names the path, relative to the directory. */
async function expectReported(folder: string, path: string): Promise<void> {
  const check = await inFolder(folder, 'check', '--json');
  expect(check.exitCode, check.stderr).toBe(4);
  const { checks } = JSON.parse(check.stdout) as {
    checks: { name: string; ok: boolean; subject: string }[];
  };
  expect(checks.filter(({ ok }) => !ok)).toEqual([
    having({ name: 'catalog', subject: expect.stringContaining(`/${path}`) as unknown }),
  ]);
}

/** What a restore would take. @returns the warnings of its plan */
async function expectLatest(folder: string, id: string): Promise<readonly unknown[]> {
  const plan = await inFolder(folder, 'restore', 'db', '--dry-run', '--json');
  expect(plan.exitCode, plan.stderr).toBe(0);
  const { warnings, ...rest } = JSON.parse(plan.stdout) as { warnings: readonly unknown[] };
  expect(rest).toMatchObject({ plan: true, id });
  return warnings;
}

test('a truncated file is reported by check before anybody verified it', async () => {
  const { folder, dir } = await copyBackups();
  const [, , newest = ''] = ids;
  await changeArchive(join(dir, 'db', newest), (stored) => stored.subarray(0, -1));
  await expectReported(folder, join('db', newest));
  const plan = await inFolder(folder, 'restore', 'db', '--dry-run', '--json');
  expect(plan).toMatchObject({ exitCode: 13, stdout: '' });
});

test('a backup in the folder of another source is neither used nor removed', async () => {
  const { folder, dir } = await copyBackups();
  const [, , newest = ''] = ids;
  await mkdir(join(dir, 'other'));
  await rename(join(dir, 'db', newest), join(dir, 'other', newest));

  const restore = await inFolder(folder, 'restore', 'other', '--at', newest, '--json');
  expect(restore.exitCode).toBe(13);
  await expectReported(folder, join('other', newest));
  expect((await inFolder(folder, 'prune', '--json')).exitCode).toBe(0);
  expect(await readdir(join(dir, 'other'))).toEqual([newest]);
});

test('a backup of another namespace is refused, reported, and left alone', async () => {
  const { folder, dir } = await copyBackups();
  const [oldest = '', , newest = ''] = ids;
  await changeManifest(join(dir, 'db', oldest), (manifest) => ({
    ...manifest,
    namespace: 'elsewhere',
  }));

  const restore = await inFolder(folder, 'restore', 'db', '--at', oldest, '--json');
  expect(restore.exitCode).toBe(3);
  expect(restore.stderr).toContain('elsewhere');
  await expectReported(folder, join('db', oldest));
  expect((await inFolder(folder, 'prune', '--json', '--yes')).exitCode).toBe(0);
  expect((await readdir(join(dir, 'db'))).toSorted()).toEqual([oldest, newest]);
});

test('a directory of another namespace is refused', async () => {
  const { folder } = await copyBackups();
  for (const args of [['list'], ['backup', 'db'], ['daemon']]) {
    const { exitCode, stderr } = await stage.backupd(args, {
      env: { BACKUPD_DIR: `/backups/${folder}`, BACKUPD_NAMESPACE: 'elsewhere' },
    });
    expect(exitCode, stderr).toBe(3);
    expect(stderr).toContain('has the namespace "demo"');
  }
});

test('foreign files and folders are reported, never counted and never removed', async () => {
  const { folder, dir } = await copyBackups();
  const foreign = ['notes.txt', 'photos/2026.jpg', 'db/dump.sql', 'db/old/manifest.json'];
  await mkdir(join(dir, 'photos'));
  await mkdir(join(dir, 'db', 'old'));
  for (const path of foreign) {
    await writeFile(join(dir, path), 'not ours');
  }

  const check = await inFolder(folder, 'check', '--json');
  const { checks } = JSON.parse(check.stdout) as { checks: { ok: boolean; subject: string }[] };
  const reported = checks.filter(({ ok }) => !ok).map(({ subject }) => subject);
  expect(reported.toSorted()).toEqual(
    ['db/dump.sql', 'db/old', 'notes.txt', 'photos'].map((path) => `/backups/${folder}/${path}`),
  );
  const list = await inFolder(folder, 'list', '--json');
  expect(JSON.parse(list.stdout)).toHaveLength(3);
  expect((await inFolder(folder, 'prune', '--json')).exitCode).toBe(0);
  expect((await inFolder(folder, 'backup', 'db', '--json')).exitCode).toBe(0);
  for (const path of foreign) {
    expect(await readFile(join(dir, path), 'utf8')).toBe('not ours');
  }
});

test('two daemons on one directory: the second is refused and names the first', async () => {
  const { folder } = await copyBackups();
  const env = { BACKUPD_DIR: `/backups/${folder}`, BACKUPD_HTTP_PORT: 'off' };
  const first = stage.backupd(['daemon'], { env });
  try {
    await expect
      .poll(() => readdir(join(stage.dir, folder, '.backupd', 'locks')), { timeout: 20_000 })
      .not.toEqual([]);
    const second = await stage.backupd(['daemon'], { env });
    expect(second.exitCode, second.stderr).toBe(11);
    expect(second.stderr).toContain('"daemon"');
  } finally {
    await killIn(stage.box.name, `node *${PROGRAM} daemon`, 'TERM');
  }
  expect(await first).toMatchObject({ exitCode: 0 });
});
