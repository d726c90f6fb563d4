import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isPinned } from '../../../src/core/catalog-entry.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import { pinBackup, unpinBackup, type PinResult } from '../../../src/jobs/pin.ts';
import { prune } from '../../../src/jobs/prune.ts';
import { acquireDestinationLock } from '../../../src/store/lock.ts';
import { sampleApp } from '../../support/app.ts';
import { memoryDestination, type MemoryDestination } from '../../support/memory-destination.ts';
import { bucketSettings } from '../../support/s3-server.ts';
import { backupId, commitBackup, emptyCatalog } from '../../support/storage.ts';
import { configured, copiesStage, type CopiesStage } from '../../support/upload-stage.ts';
import { policy } from '../core/retention-samples.ts';

const never = new AbortController().signal;

test('a pin and an unpin take an id by its beginning, and say it once', async () => {
  await using fixture = await emptyCatalog();
  const { catalog, dir } = fixture;
  const id = backupId(1);
  await commitBackup(catalog, { id });
  const app = sampleApp(fixture);
  const here = { id, source: 'db', destinations: [] };
  for (let round = 0; round < 2; round += 1) {
    const request = { id: '20260101', waitMs: 0 };
    expect(await pinBackup(request, app, never)).toEqual({ ...here, pinned: true });
    expect(isPinned(await catalog.find(id))).toBe(true);
  }
  for (let round = 0; round < 2; round += 1) {
    expect(await unpinBackup({ id, waitMs: 0 }, app, never)).toEqual({ ...here, pinned: false });
    expect(isPinned(await catalog.find(id))).toBe(false);
  }
  expect(await readdir(join(dir, 'db', id, 'receipts'))).toEqual([
    '0001-pinned.json',
    '0002-unpinned.json',
  ]);
  await expect(pinBackup({ id: '2027', waitMs: 0 }, app, never)).rejects.toMatchObject({
    code: 'backup-not-found',
  });
});

describe('a backup that is only at destinations', () => {
  /** Backups of three hours at both, none of them here any more; from now on one is kept there. */
  async function awayStage(
    s3 = memoryDestination(),
    nas = memoryDestination({ name: 'nas' }),
  ): Promise<CopiesStage> {
    const keep = { keep: { all: true } } as const;
    const stage = await copiesStage({ place: s3, settings: keep, more: [configured(nas, keep)] });
    await stage.add(1, 2, 3);
    await stage.upload();
    for (const hour of [1, 2, 3]) {
      await stage.catalog.remove({ source: 'db', id: backupId(hour) });
    }
    for (const { settings } of stage.app.context.destinations) {
      Object.assign(settings, { keep: policy({ last: 1 }) });
    }
    return stage;
  }

  async function pin(stage: CopiesStage, id: string): Promise<PinResult> {
    return pinBackup({ id, waitMs: 0 }, stage.app, never);
  }

  function isThere(place: MemoryDestination, hour: number): boolean {
    return place.keys().includes(`demo/db/${backupId(hour)}/manifest.json`);
  }

  async function runPrune(stage: CopiesStage): Promise<void> {
    await prune({ source: null, dryRun: false, yes: false, waitMs: 0 }, stage.app, never);
  }

  test('is pinned at each of them, and left to retention again', async () => {
    const nas = memoryDestination({ name: 'nas' });
    await using stage = await awayStage(memoryDestination(), nas);
    const both = { id: backupId(1), source: 'db', destinations: ['s3', 'nas'] };
    expect(await pin(stage, '20260101T01')).toEqual({ ...both, pinned: true });
    // Again writes nothing again.
    await pin(stage, `db/${backupId(1)}`);
    expect(nas.keys().filter((key) => key.includes('receipts/'))).toEqual([
      `demo/db/${backupId(1)}/receipts/0001-pinned.json`,
    ]);
    await runPrune(stage);
    for (const place of [stage.place, nas]) {
      expect([1, 2, 3].map((hour) => isThere(place, hour))).toEqual([true, false, true]);
    }
    const request = { id: backupId(1), waitMs: 0 };
    expect(await unpinBackup(request, stage.app, never)).toEqual({ ...both, pinned: false });
    await runPrune(stage);
    expect([1, 2, 3].map((hour) => isThere(nas, hour))).toEqual([false, false, true]);
  });

  test('that the store was told to delete stays', async () => {
    await using stage = await awayStage();
    const lifecycle = { moves: [], expireDays: 7 };
    const { place } = bucketSettings({ bucket: 'shop', endpoint: null, lifecycle });
    Object.assign(stage.app.context.destinations[0]?.settings ?? {}, { place });
    await runPrune(stage);
    expect(stage.place.tag(`demo/db/${backupId(1)}/shop.dump.zst`)).toBe('expire');
    await pin(stage, backupId(1));
    stage.place.expire();
    expect([1, 2, 3].map((hour) => isThere(stage.place, hour))).toEqual([true, false, true]);
  });

  test('one that is down is told, and is pinned at the others', async () => {
    await using stage = await awayStage();
    stage.place.onRequest = () => {
      throw new BackupdError('destination-unavailable', 'nobody answers', { hint: 'Look.' });
    };
    await expect(pin(stage, backupId(1))).rejects.toMatchObject({
      code: 'destination-unavailable',
      message: 'pinned at nas, and at s3 it failed: nobody answers',
      hint: 'Look. Run it again then.',
    });
    await expect(pin(stage, '2030')).rejects.toMatchObject({
      code: 'backup-not-found',
      hint: expect.stringContaining('s3 could not be asked: nobody answers') as unknown,
    });
    await expect(pin(stage, '2026')).rejects.toMatchObject({ code: 'usage' });
  });

  test('while somebody is at work there, or in a namespace of somebody else, it is refused', async () => {
    await using stage = await awayStage();
    const request = { command: 'upload', waitMs: 0 };
    {
      await using _lock = await acquireDestinationLock(stage.dir, 's3', request, never);
      await expect(pin(stage, backupId(1))).rejects.toMatchObject({
        code: 'locked',
        message: expect.stringContaining('upload') as unknown,
      });
    }
    const owner = { identity: 'x', hostname: 'other', since: '2026-01-01T00:00:00.000Z' };
    stage.place.alter('demo/.backupd/owner.json', JSON.stringify(owner));
    await expect(pin(stage, backupId(1))).rejects.toMatchObject({
      code: 'locked',
      hint: expect.stringContaining('--take-over') as unknown,
    });
  });
});
