import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Attempt, Outcome } from '../../../src/core/events.ts';
import type { PageReport } from '../../../src/core/page-report.ts';
import type { Discovery } from '../../../src/jobs/context.ts';
import { buildPageReport } from '../../../src/jobs/page-report.ts';
import { buildStatus } from '../../../src/jobs/status.ts';
import { recordAttempt } from '../../../src/store/attempts.ts';
import { recordRestore } from '../../../src/store/last-restore.ts';
import { acquireLock } from '../../../src/store/lock.ts';
import { backupId, SAMPLE_ARCHIVE } from '../../support/storage.ts';
import { boundSource } from '../cli/paper-source.ts';
import { fakeApp, type FakeApp } from '../cli/support.ts';

const NOW = new Date('2026-11-22T12:00:00Z');
const HOUR_MS = 3_600_000;
const FOUND: Discovery = { sources: [boundSource('db')], problems: [], docker: null };
const SIGNAL = new AbortController().signal;

async function report({ app }: FakeApp): Promise<PageReport> {
  return buildPageReport(app, FOUND, 'shop-backupd-1', NOW);
}

function hoursAgo(hours: number): string {
  return new Date(NOW.getTime() - hours * HOUR_MS).toISOString();
}

async function addAttempt(
  { app }: FakeApp,
  hours: number,
  outcome: Outcome,
  message = 'pg_dump ended with 1',
): Promise<void> {
  const at = hoursAgo(hours);
  const failure = { code: 'dump-failed', message, hint: 'Look.' } as const;
  const attempt: Attempt = {
    at,
    finishedAt: at,
    outcome,
    trigger: 'schedule',
    id: null,
    failure: outcome === 'success' ? null : failure,
  };
  await recordAttempt(app.context.storage.dir, 'db', attempt);
}

test('is the report of status, and more', async () => {
  await using world = await fakeApp();
  await world.add();
  const status = await buildStatus(world.app, FOUND, NOW);
  const { freeBytes: _others, ...disk } = await world.app.context.storage.space();
  expect(await report(world)).toMatchObject({
    ...status,
    at: NOW.toISOString(),
    version: '9.9.9',
    namespace: 'shop',
    container: 'shop-backupd-1',
    running: [],
    failures: [],
    // What is free changes with what others write.
    disk,
    sources: [{ source: 'db', restoreCommand: 'docker exec -it shop-backupd-1 restore db' }],
  });
});

test('the history is that of the last thirty backups, oldest first, safety backups left out', async () => {
  await using world = await fakeApp();
  for (let number = 0; number < 33; number += 1) {
    const files = [{ ...SAMPLE_ARCHIVE, storedBytes: number }];
    const kind = number === 32 ? ('safety' as const) : ('full' as const);
    await world.add({ id: backupId(number), files, kind, suspicious: number === 31 });
  }
  const [source] = (await report(world)).sources;
  const numbers = Array.from({ length: 30 }, (_, index) => index + 2);
  expect(source?.history.map(({ sizeBytes }) => sizeBytes)).toEqual(numbers);
  expect(source?.history.map(({ id }) => id)).toEqual(numbers.map((number) => backupId(number)));
  expect(source?.history.map(({ good }) => good)).toEqual(numbers.map((number) => number !== 31));
});

describe('failures', () => {
  test('in a row are one where they are the same, and are over after a good backup', async () => {
    await using world = await fakeApp();
    const at = hoursAgo(6);
    await world.add({ startedAt: at, finishedAt: at });
    await addAttempt(world, 9, 'failed');
    await addAttempt(world, 8, 'failed');
    await addAttempt(world, 7, 'failed', 'no space');
    await addAttempt(world, 6, 'success');
    await addAttempt(world, 5, 'failed');
    await addAttempt(world, 4, 'skipped', 'it was busy');
    await addAttempt(world, 3, 'failed');
    const { failures } = await report(world);
    expect(
      failures.map(({ at, since, count, message, over }) => ({ at, since, count, message, over })),
    ).toEqual([
      {
        at: hoursAgo(3),
        since: hoursAgo(5),
        count: 2,
        message: 'pg_dump ended with 1',
        over: false,
      },
      { at: hoursAgo(7), since: hoursAgo(7), count: 1, message: 'no space', over: true },
      {
        at: hoursAgo(8),
        since: hoursAgo(9),
        count: 2,
        message: 'pg_dump ended with 1',
        over: true,
      },
    ]);
    expect(failures[0]).toMatchObject({
      source: 'db',
      what: 'backup',
      code: 'dump-failed',
      hint: 'Look.',
    });
  });

  test('are those of the last restore, too', async () => {
    await using world = await fakeApp();
    await world.add();
    await recordRestore(world.app.context.storage.dir, 'db', {
      at: hoursAgo(1),
      id: null,
      outcome: 'failed',
      code: 'no-space',
      message: 'the disk is full',
    });
    expect((await report(world)).failures).toMatchObject([
      { what: 'restore', code: 'no-space', message: 'the disk is full' },
    ]);
  });
});

test('who holds a source is told, with what and since when', async () => {
  await using world = await fakeApp();
  await world.add();
  const { dir } = world.app.context.storage;
  {
    await using lock = await acquireLock(dir, 'db', { command: 'backup db', waitMs: 0 }, SIGNAL);
    const startedAt = hoursAgo(1);
    await lock.describe({ id: 'x', startedAt, trigger: 'manual' });
    expect((await report(world)).running).toEqual([
      { source: 'db', destination: null, command: 'backup db', since: startedAt },
    ]);
  }
  expect((await report(world)).running).toEqual([]);
});

test('a directory that cannot be read is a problem, and no source is said to be without backups', async () => {
  await using world = await fakeApp();
  const { dir } = world.app.context.storage;
  await mkdir(join(dir, '.backupd'), { recursive: true });
  // Where a folder should be is a file: reading it fails as a broken disk does.
  await writeFile(join(dir, '.backupd', 'sources'), '');
  expect(await report(world)).toMatchObject({
    healthy: false,
    sources: [],
    disk: null,
    problems: [{ code: 'storage-unavailable' }],
  });
});
