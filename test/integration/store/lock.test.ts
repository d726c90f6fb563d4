import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { acquireDaemonLock, acquireLock, type LockHolder } from '../../../src/store/lock.ts';
import { readLock } from '../../../src/store/read-lock.ts';
import { temporaryFolder } from '../../support/storage.ts';

const never = new AbortController().signal;
const atOnce = { command: 'backup db', waitMs: 0 };

/** A holder in a container whose processes cannot be seen from here. */
const elsewhere: LockHolder = {
  command: 'daemon',
  pid: process.pid,
  hostname: 'other-container',
  since: '2026-01-01T00:00:00.000Z',
  run: { id: 'x', startedAt: '2026-01-01T00:00:00.000Z', trigger: 'schedule' },
  pidNamespace: 'pid:[1]',
  bootId: 'other',
  startTicks: '1',
};

/** Puts a lock there; its times are long past or far in the future, as a wrong clock has them. */
async function placeLock(dir: string, text: string, at: Date, stem = 'source-db'): Promise<string> {
  const folder = join(dir, '.backupd', 'locks');
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${stem}.4.json`);
  await writeFile(path, text);
  await utimes(path, at, at);
  return path;
}

describe.concurrent('a holder in another container', () => {
  test.each([
    ['a clock that is behind', new Date('2001-01-01T00:00:00Z')],
    ['a clock that is ahead', new Date('2090-01-01T00:00:00Z')],
  ])('that died is taken over after six seconds without a beat, with %s', async (_what, at) => {
    await using folder = await temporaryFolder();
    await placeLock(folder.dir, JSON.stringify(elsewhere), at);
    expect(await readLock(folder.dir, 'db')).toMatchObject({ command: 'daemon', alive: false });
    const began = performance.now();
    await using lock = await acquireLock(folder.dir, 'db', atOnce, never);
    expect(performance.now() - began).toBeGreaterThan(5900);
    expect(performance.now() - began).toBeLessThan(12_000);
    expect(lock.dead).toEqual(elsewhere);
  });

  test('that died before it could say who it was is taken over as well', async () => {
    await using folder = await temporaryFolder();
    await placeLock(folder.dir, '', new Date());
    await using lock = await acquireLock(folder.dir, 'db', atOnce, never);
    expect(lock.dead).toBeNull();
  });

  test('that beats keeps the lock, and is known to live within two beats', async () => {
    await using folder = await temporaryFolder();
    const path = await placeLock(folder.dir, JSON.stringify(elsewhere), new Date());
    let beats = 0;
    const timer = setInterval(() => {
      beats += 1;
      // A clock that goes backwards is as good as any.
      void utimes(path, 1000 - beats, 1000 - beats);
    }, 2000);
    const began = performance.now();
    const second = acquireLock(folder.dir, 'db', atOnce, never);
    await expect(second).rejects.toMatchObject({ code: 'locked' });
    await expect(second).rejects.toThrow('held by "daemon"');
    expect(performance.now() - began).toBeLessThan(5000);
    const third = acquireLock(folder.dir, 'db', { command: 'restore db', waitMs: 9000 }, never);
    await expect(third).rejects.toMatchObject({ code: 'locked' });
    clearInterval(timer);
  });

  test('that died with a daemon and a run is watched for both at once', async () => {
    await using folder = await temporaryFolder();
    await placeLock(folder.dir, JSON.stringify(elsewhere), new Date());
    await placeLock(folder.dir, JSON.stringify(elsewhere), new Date(), 'daemon-backupd');
    await using daemon = await acquireDaemonLock(folder.dir, atOnce, never);
    const began = performance.now();
    const request = { ...atOnce, watches: daemon.watches };
    await using lock = await acquireLock(folder.dir, 'db', request, never);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(lock.dead).toEqual(elsewhere);
  });

  test('that outlived its daemon keeps the lock of what it runs', async () => {
    await using folder = await temporaryFolder();
    const path = await placeLock(folder.dir, JSON.stringify(elsewhere), new Date());
    await placeLock(folder.dir, JSON.stringify(elsewhere), new Date(), 'daemon-backupd');
    let beats = 0;
    const timer = setInterval(() => {
      beats += 1;
      void utimes(path, 1000 + beats, 1000 + beats);
    }, 2000);
    await using daemon = await acquireDaemonLock(folder.dir, atOnce, never);
    const request = { ...atOnce, watches: daemon.watches };
    const second = acquireLock(folder.dir, 'db', request, never);
    await expect(second).rejects.toMatchObject({ code: 'locked' });
    clearInterval(timer);
  });

  test('is one of ours: a real lock is beaten without end', async () => {
    await using folder = await temporaryFolder();
    await using lock = await acquireLock(folder.dir, 'db', atOnce, never);
    await lock.describe(elsewhere.run ?? { id: '', startedAt: '', trigger: 'manual' });
    const path = join(folder.dir, '.backupd', 'locks', 'source-db.1.json');
    // As it would be seen from another container.
    await writeFile(path, JSON.stringify(elsewhere));
    const second = acquireLock(folder.dir, 'db', { command: 'next', waitMs: 9000 }, never);
    await expect(second).rejects.toMatchObject({ code: 'locked' });
    expect(lock.lost.aborted).toBe(false);
  });
});
