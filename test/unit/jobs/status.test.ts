import { mkdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ConfigProblem } from '../../../src/core/discovery.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import type { Discovery } from '../../../src/jobs/context.ts';
import { buildStatus } from '../../../src/jobs/status.ts';
import { recordAttempt, recordRetention } from '../../../src/store/attempts.ts';
import { forgetSource, recordSource } from '../../../src/store/known-sources.ts';
import { acquireLock } from '../../../src/store/lock.ts';
import { containing } from '../../support/matchers.ts';
import { backupId, SAMPLE_ARCHIVE } from '../../support/storage.ts';
import { notRoot, unreadable } from '../../support/unreadable.ts';
import { boundSource } from '../cli/paper-source.ts';
import { fakeApp, type FakeApp } from '../cli/support.ts';

const NOW = new Date('2026-11-22T12:00:00Z');
const SIGNAL = new AbortController().signal;

function found(change: Partial<Discovery> = {}): Discovery {
  return { sources: [boundSource('db')], problems: [], docker: null, ...change };
}

function problem(severity: ConfigProblem['severity'], source: string | null = null): ConfigProblem {
  return {
    source,
    option: 'BACKUPD_X',
    message: `it is ${severity}`,
    hint: 'Change it.',
    severity,
  };
}

/** State and health by source, and whether all is well. */
async function standing(
  { app }: FakeApp,
  discovery: Discovery,
): Promise<readonly [healthy: boolean, sources: Readonly<Record<string, string>>]> {
  const report = await buildStatus(app, discovery, NOW);
  const sources = Object.fromEntries(report.sources.map(({ source, state }) => [source, state]));
  return [report.healthy, sources];
}

describe('sources', () => {
  test('one that has what it should is well', async () => {
    await using world = await fakeApp();
    await world.add();
    expect(await standing(world, found())).toEqual([true, { db: 'ok' }]);
  });

  test('runs are told from what the processes recorded', async () => {
    await using world = await fakeApp();
    await world.add();
    const at = '2026-11-22T11:00:00.000Z';
    const failure = { code: 'dump-failed', message: 'it did', hint: null } as const;
    const { dir } = world.app.context.storage;
    await recordAttempt(dir, 'db', {
      at,
      finishedAt: at,
      outcome: 'failed',
      trigger: 'manual',
      id: null,
      failure,
    });
    const report = await buildStatus(world.app, found(), NOW);
    expect(report.healthy).toBe(false);
    expect(report.sources[0]).toMatchObject({
      state: 'failed',
      runsTotal: { success: 0, failed: 1, skipped: 0, interrupted: 0 },
      lastAttempt: { at, outcome: 'failed', code: 'dump-failed', message: 'it did' },
    });
  });

  test('running is who holds the lock and says so, until it lets go', async () => {
    await using world = await fakeApp();
    await world.add();
    const { dir } = world.app.context.storage;
    {
      await using lock = await acquireLock(dir, 'db', { command: 'test', waitMs: 0 }, SIGNAL);
      expect(await standing(world, found())).toEqual([true, { db: 'ok' }]);
      await lock.describe({ id: 'x', startedAt: NOW.toISOString(), trigger: 'manual' });
      expect(await standing(world, found())).toEqual([true, { db: 'running' }]);
    }
    expect(await standing(world, found())).toEqual([true, { db: 'ok' }]);
  });

  test('one that vanished is missing while it has backups, until it is forgotten', async () => {
    await using world = await fakeApp();
    const { dir } = world.app.context.storage;
    await recordSource(dir, boundSource('db').job);
    await recordSource(dir, boundSource('empty').job);
    await world.add();
    const without = found({ sources: [boundSource('other')] });
    expect(await standing(world, without)).toEqual([false, { db: 'missing', other: 'never' }]);
    await forgetSource(dir, 'db');
    expect(await standing(world, without)).toEqual([false, { other: 'never' }]);
  });

  test.each([
    ['Docker is silent', { docker: { code: 'target-unavailable', message: 'no', hint: null } }],
    ['its own configuration is wrong', { problems: [problem('source', 'db')] }],
  ] as const)('one that was there before is not missing where %s', async (_name, change) => {
    await using world = await fakeApp();
    await recordSource(world.app.context.storage.dir, boundSource('db').job);
    await world.add();
    expect(await standing(world, found({ sources: [], ...change }))).toEqual([false, { db: 'ok' }]);
  });
});

describe('problems', () => {
  test('damage that was found by reading is shown: unhealthy where nothing newer is whole', async () => {
    await using world = await fakeApp();
    const older = await world.add();
    const newer = await world.add({ id: backupId(7851) });
    const { catalog } = world.app.context;
    const at = NOW.toISOString();
    const damaged = {
      type: 'damaged',
      at,
      depth: 'stored',
      message: 'its SHA-256 differs',
    } as const;
    await catalog.addReceipt({ manifest: older }, damaged);
    const said = await buildStatus(world.app, found(), NOW);
    expect(said).toMatchObject({
      healthy: true,
      problems: [
        {
          code: 'storage-damaged',
          message: containing(`${older.id}: was found damaged at ${at}: its SHA-256 differs`),
        },
      ],
    });
    await catalog.addReceipt({ manifest: newer }, damaged);
    expect((await buildStatus(world.app, found(), NOW)).healthy).toBe(false);
    for (const manifest of [older, newer]) {
      await catalog.addReceipt({ manifest }, { type: 'verified', at, depth: 'stored' });
    }
    expect(await buildStatus(world.app, found(), NOW)).toMatchObject({
      healthy: true,
      problems: [],
    });
  });

  test('one whose backups cannot be read is unhealthy, and the others are known all the same', async () => {
    using _user = notRoot();
    await using world = await fakeApp();
    await world.add();
    await world.add({ source: 'web' });
    const { dir } = world.app.context.storage;
    await using _folder = await unreadable(join(dir, 'db'));
    const sources = [boundSource('db'), boundSource('web')];
    const report = await buildStatus(world.app, found({ sources }), NOW);
    const health = report.sources.map(({ source, state, healthy }) => [source, state, healthy]);
    expect(health).toEqual([
      ['db', 'never', false],
      ['web', 'ok', true],
    ]);
    expect(report.healthy).toBe(false);
    expect(report.problems[0]?.message).toContain(`${join(dir, 'db')}: cannot be used`);
  });

  test('a newest backup that is damaged is unhealthy, an older one is said', async () => {
    await using world = await fakeApp();
    const { dir } = world.app.context.storage;
    const at = NOW.toISOString();
    const [older, newest] = [
      await world.add({ id: backupId(1), startedAt: at, files: [SAMPLE_ARCHIVE] }),
      await world.add({ id: backupId(2), startedAt: at, files: [SAMPLE_ARCHIVE] }),
    ];
    async function cut({ id, files }: Manifest): Promise<void> {
      await truncate(join(dir, 'db', id, files[0]?.name ?? ''), 3);
    }
    await cut(older);
    expect(await buildStatus(world.app, found(), NOW)).toMatchObject({
      healthy: true,
      problems: [{ code: 'storage-damaged' }],
    });
    await cut(newest);
    const { healthy, problems } = await buildStatus(world.app, found(), NOW);
    expect({ healthy, count: problems.length }).toEqual({ healthy: false, count: 1 });
    expect(problems[0]?.message).toContain(`${newest.id}: its `);
  });

  test('a retention that did not come to its end is said, here as elsewhere', async () => {
    await using world = await fakeApp();
    await world.add({ id: backupId(1) });
    const failure = {
      code: 'usage',
      message: 'most would be removed',
      hint: 'Say yes.',
    } as const;
    await recordRetention(world.app.context.storage.dir, 'db', failure);
    const said = { ...failure, message: 'retention of "db" here failed: most would be removed' };
    expect((await buildStatus(world.app, found(), NOW)).problems).toContainEqual(said);
    await recordRetention(world.app.context.storage.dir, 'db', null);
    expect((await buildStatus(world.app, found(), NOW)).problems).not.toContainEqual(said);
  });

  test('a newest backup that is suspicious is said, until it is pinned', async () => {
    await using world = await fakeApp();
    const hour = 3_600_000;
    for (const [number, suspicious] of [
      [1, false],
      [2, true],
    ] as const) {
      const at = new Date(NOW.getTime() - (3 - number) * hour).toISOString();
      await world.add({ id: backupId(number), startedAt: at, finishedAt: at, suspicious });
    }
    const { healthy, problems } = await buildStatus(world.app, found(), NOW);
    expect({ healthy, problems }).toMatchObject({
      healthy: true,
      problems: [{ code: 'suspicious' }],
    });
    expect(problems[0]?.message).toContain(backupId(2));
    const entry = await world.app.context.catalog.find(backupId(2));
    await world.app.context.catalog.addReceipt(entry, { type: 'pinned', at: NOW.toISOString() });
    expect((await buildStatus(world.app, found(), NOW)).problems).toEqual([]);
  });

  test.each([
    ['fatal', false, 'config-invalid'],
    ['source', false, 'config-invalid'],
    ['loud', true, 'config-warning'],
  ] as const)('a %s one of the configuration', async (severity, healthy, code) => {
    const twice = problem(severity);
    await using world = await fakeApp({ problems: [twice] });
    await world.add();
    const report = await buildStatus(world.app, found({ problems: [twice] }), NOW);
    expect(report).toMatchObject({
      healthy,
      problems: [{ code, message: `BACKUPD_X: it is ${severity}`, hint: 'Change it.' }],
    });
    expect(report.problems).toHaveLength(1);
  });

  test('Docker that cannot be asked', async () => {
    await using world = await fakeApp();
    const docker = { code: 'target-unavailable', message: 'no socket', hint: 'Mount it.' } as const;
    const report = await buildStatus(world.app, found({ sources: [], docker }), NOW);
    expect(report).toMatchObject({ healthy: false, problems: [docker] });
  });

  test('no source at all', async () => {
    await using world = await fakeApp();
    const report = await buildStatus(world.app, found({ sources: [] }), NOW);
    expect(report.healthy).toBe(false);
    expect(report.problems.map(({ message }) => message)).toEqual(['there is no source']);
  });

  test('what is not ours in the directory is said, and the backups are well all the same', async () => {
    await using world = await fakeApp();
    await world.add();
    await mkdir(join(world.app.context.storage.dir, 'Foreign Folder'));
    const report = await buildStatus(world.app, found(), NOW);
    expect(report.healthy).toBe(true);
    expect(report.problems).toMatchObject([{ code: 'storage-damaged' }]);
    expect(report.problems[0]?.message).toContain('Foreign Folder');
  });
});
