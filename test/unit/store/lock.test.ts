import { once } from 'node:events';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { acquireDaemonLock, acquireLock } from '../../../src/store/lock.ts';
import { readLock } from '../../../src/store/read-lock.ts';
import { runStoreProcess, startStoreProcess } from '../../support/run-store-process.ts';
import { backupId, temporaryFolder } from '../../support/storage.ts';

const never = new AbortController().signal;
const atOnce = { command: 'backup db', waitMs: 0 };

describe.concurrent('a lock', () => {
  test('keeps others out, at once, and names who has it', async () => {
    await using folder = await temporaryFolder();
    await using _lock = await acquireLock(folder.dir, 'db', atOnce, never);
    const began = performance.now();
    const second = acquireLock(folder.dir, 'db', { command: 'restore db', waitMs: 0 }, never);
    await expect(second).rejects.toMatchObject({ code: 'locked' });
    await expect(second).rejects.toThrow(
      new RegExp(`^"db" is locked: held by "backup db" \\(pid ${process.pid} on .+, since 20`),
    );
    expect(performance.now() - began).toBeLessThan(1500);
  });

  test('is free again once it is released, and leaves nobody dead behind', async () => {
    await using folder = await temporaryFolder();
    for (let round = 0; round < 3; round += 1) {
      await using lock = await acquireLock(folder.dir, 'db', atOnce, never);
      expect(lock.dead).toBeNull();
    }
    expect(await readdir(join(folder.dir, '.backupd', 'locks'))).toEqual([
      'source-db.3.json',
      'source-db.3.released',
    ]);
    expect(await readLock(folder.dir, 'db')).toBeNull();
  });

  test('takes a number that nobody can count on for none of ours', async () => {
    await using folder = await temporaryFolder();
    {
      await using _first = await acquireLock(folder.dir, 'db', atOnce, never);
    }
    const locks = join(folder.dir, '.backupd', 'locks');
    await writeFile(join(locks, 'source-db.99999999999999999999.json'), 'x');
    await using lock = await acquireLock(folder.dir, 'db', atOnce, never);
    expect(lock.dead).toBeNull();
  });

  test('is waited for', async () => {
    await using folder = await temporaryFolder();
    const first = await acquireLock(folder.dir, 'db', atOnce, never);
    const second = acquireLock(folder.dir, 'db', { command: 'next', waitMs: 5000 }, never);
    await first[Symbol.asyncDispose]();
    await using lock = await second;
    expect((await readLock(folder.dir, 'db'))?.command).toBe('next');
    expect(lock.dead).toBeNull();
  });

  test('is not waited for longer than was said', async () => {
    await using folder = await temporaryFolder();
    await using _lock = await acquireLock(folder.dir, 'db', atOnce, never);
    const began = performance.now();
    const second = acquireLock(folder.dir, 'db', { command: 'next', waitMs: 400 }, never);
    await expect(second).rejects.toMatchObject({ code: 'locked' });
    expect(performance.now() - began).toBeGreaterThan(390);
  });

  test('is no longer waited for when the signal aborts', async () => {
    await using folder = await temporaryFolder();
    await using _lock = await acquireLock(folder.dir, 'db', atOnce, never);
    const controller = new AbortController();
    const reason = new Error('enough');
    const second = acquireLock(
      folder.dir,
      'db',
      { command: 'next', waitMs: 60_000 },
      controller.signal,
    );
    controller.abort(reason);
    await expect(second).rejects.toBe(reason);
  });

  test('concerns one source: others, the daemon, and names that begin alike are apart', async () => {
    await using folder = await temporaryFolder();
    const { dir } = folder;
    await using _db = await acquireLock(dir, 'db', atOnce, never);
    await using _dotted = await acquireLock(dir, 'db.1', atOnce, never);
    await using _digits = await acquireLock(dir, 'db.1.json', atOnce, never);
    await using _named = await acquireLock(dir, 'backupd', atOnce, never);
    await using _daemon = await acquireDaemonLock(dir, { command: 'daemon', waitMs: 0 }, never);
    await expect(acquireLock(dir, 'db', atOnce, never)).rejects.toMatchObject({ code: 'locked' });
  });

  test('of a daemon says so', async () => {
    await using folder = await temporaryFolder();
    const request = { command: 'daemon', waitMs: 0 };
    await using _lock = await acquireDaemonLock(folder.dir, request, never);
    const second = acquireDaemonLock(folder.dir, request, never);
    await expect(second).rejects.toThrow(
      `${folder.dir} belongs to a daemon that runs already: held by "daemon"`,
    );
  });

  test('tells what runs under it', async () => {
    await using folder = await temporaryFolder();
    await using lock = await acquireLock(folder.dir, 'db', atOnce, never);
    expect(await readLock(folder.dir, 'db')).toMatchObject({
      command: 'backup db',
      pid: process.pid,
      run: null,
      alive: true,
    });
    const run = {
      id: backupId(1),
      startedAt: '2026-01-01T01:00:00.000Z',
      trigger: 'manual',
    } as const;
    await lock.describe(run);
    await lock.describe({ ...run, id: 'x' });
    expect(await readLock(folder.dir, 'db')).toMatchObject({ run: { ...run, id: 'x' } });
    const [file] = await readdir(join(folder.dir, '.backupd', 'locks'));
    const { mode } = await stat(join(folder.dir, '.backupd', 'locks', String(file)));
    expect(mode & 0o777).toBe(0o600);
  });

  test('is lost when somebody else took it, and then left alone', async () => {
    await using folder = await temporaryFolder();
    const lock = await acquireLock(folder.dir, 'db', atOnce, never);
    const record = JSON.stringify({
      command: 'thief',
      pid: 1,
      hostname: 'x',
      since: '',
      run: null,
    });
    await writeFile(join(folder.dir, '.backupd', 'locks', 'source-db.2.json'), record);
    await once(lock.lost, 'abort');
    expect(lock.lost.reason).toMatchObject({ code: 'locked' });
    await lock[Symbol.asyncDispose]();
    expect((await readLock(folder.dir, 'db'))?.command).toBe('thief');
  });
});

describe.concurrent('a lock of a process that was killed', () => {
  test('is taken over at once, and tells who died and what it ran', async () => {
    await using folder = await temporaryFolder();
    const holder = startStoreProcess('hold', folder.dir);
    await once(holder.stdout as NodeJS.ReadableStream, 'data');
    expect(await readLock(folder.dir, 'db')).toMatchObject({ pid: holder.pid, alive: true });
    await expect(acquireLock(folder.dir, 'db', atOnce, never)).rejects.toMatchObject({
      code: 'locked',
    });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect(await readLock(folder.dir, 'db')).toMatchObject({ alive: false });
    const began = performance.now();
    await using lock = await acquireLock(folder.dir, 'db', atOnce, never);
    expect(performance.now() - began).toBeLessThan(3000);
    expect(lock.dead).toMatchObject({
      pid: holder.pid,
      command: 'backup db',
      run: { id: backupId(1), trigger: 'manual' },
    });
  });

  test('gets to exactly one of those who want it', async () => {
    await using folder = await temporaryFolder();
    const rushes = await Promise.all(
      [1, 2, 3].map(() => runStoreProcess('rush', folder.dir, '1500')),
    );
    const counts = rushes.map(
      ({ said }) => said as { taken: number; inherited: number; violations: number },
    );
    expect(counts.map(({ violations }) => violations)).toEqual([0, 0, 0]);
    function sum(key: 'taken' | 'inherited'): number {
      return counts.reduce((total, count) => total + count[key], 0);
    }
    expect(sum('taken')).toBeGreaterThan(30);
    expect(sum('inherited')).toBeGreaterThan(10);
  });
});
