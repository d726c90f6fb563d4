import { once } from 'node:events';
import { copyFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CannotDrill } from '../../../src/core/drill.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import type { BackupId } from '../../../src/core/layout.ts';
import type { Scratches } from '../../../src/core/scratch.ts';
import { drillSource } from '../../../src/jobs/drill.ts';
import { sweepDrills } from '../../../src/jobs/sweep-drills.ts';
import { openCatalog } from '../../../src/store/catalog.ts';
import { readDrills } from '../../../src/store/drills.ts';
import { acquireDrillLock } from '../../../src/store/lock.ts';
import { sampleApp, type SampleApp } from '../../support/app.ts';
import {
  commitBackup,
  NO_SCRATCHES,
  sampleJob,
  temporaryFolder,
  type TemporaryFolder,
} from '../../support/storage.ts';

const ID = '20261122T020000Z-full-3fa9' as BackupId;

let folder: TemporaryFolder;
let app: SampleApp;

beforeEach(async () => {
  folder = await temporaryFolder();
  app = sampleApp({
    dir: folder.dir,
    catalog: openCatalog({ dir: folder.dir, namespace: 'demo' }),
  });
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
});

async function drill(scratches: Partial<Scratches>): ReturnType<typeof drillSource> {
  const own = { ...app, scratches: { ...NO_SCRATCHES, ...scratches } };
  return drillSource(sampleJob(), own, { waitMs: 0 }, AbortSignal.timeout(20_000));
}

describe('a drill', () => {
  test('that cannot be tried is skipped, and no verdict', async () => {
    await commitBackup(app.context.catalog, { id: ID });
    const report = await drill({
      open: () => Promise.reject(new CannotDrill('no-space', 'no memory')),
    });
    expect(report).toMatchObject({
      ok: false,
      skipped: 'no memory',
      failure: { code: 'no-space' },
    });
    expect(await readDrills(folder.dir, 'db')).toMatchObject({ verdicts: 0, lastVerdict: null });
    expect((await app.context.catalog.entries('db'))[0]?.receipts).toEqual([]);
    expect(app.events.at(-1)).toMatchObject({ type: 'drill-finished', report: { ok: false } });
  });

  test('without a backup is skipped', async () => {
    expect(await drill({})).toMatchObject({ id: null, failure: { code: 'backup-not-found' } });
  });

  test('whose scratch does not come up has failed, and is a verdict', async () => {
    await commitBackup(app.context.catalog, { id: ID });
    const report = await drill({
      open: () => Promise.reject(new BackupdError('restore-failed', 'it ended with 1')),
    });
    expect(report).toMatchObject({ ok: false, skipped: null, failure: { code: 'restore-failed' } });
    expect(await readDrills(folder.dir, 'db')).toMatchObject({ verdicts: 1, lastSuccessAt: null });
    expect((await app.context.catalog.entries('db'))[0]?.receipts).toMatchObject([
      { type: 'drilled', ok: false },
    ]);
  });

  test('that cannot be written down is told all the same', async () => {
    await commitBackup(app.context.catalog, { id: ID });
    const drilled = drill({
      async open() {
        await writeFile(join(folder.dir, '.backupd', 'drills'), '');
        throw new BackupdError('restore-failed', 'it ended with 1');
      },
    });
    await expect(drilled).rejects.toMatchObject({ code: 'storage-unavailable' });
    expect(app.events.at(-1)).toMatchObject({ type: 'drill-finished', report: { id: ID } });
  });

  test('without Docker is skipped', async () => {
    await commitBackup(app.context.catalog, { id: ID });
    const away = new BackupdError('target-unavailable', 'no Docker socket');
    const report = await drill({ sweep: () => Promise.reject(away) });
    expect(report).toMatchObject({ skipped: 'no Docker socket', failure: { hint: null } });
    expect((await readDrills(folder.dir, 'db')).verdicts).toBe(0);
  });

  test('says what could not be removed, whatever came of it', async () => {
    let sweeps = 0;
    const report = await drill({
      sweep: () => {
        sweeps += 1;
        return sweeps === 1 ? Promise.resolve(0) : Promise.reject(new Error('Docker is away'));
      },
    });
    expect(report.notes.join()).toContain('could not be removed: Docker is away');
    expect(app.events.map(({ type }) => type)).toContain('recovery-postponed');
  });
});

test('a drill that lost its lock removes nothing: it may be of who has it now', async () => {
  await commitBackup(app.context.catalog, { id: ID });
  const drilling = join(folder.dir, '.backupd', 'drilling', 'db');
  const swept: string[] = [];
  const drilled = drill({
    sweep(source) {
      swept.push(source);
      return Promise.resolve(0);
    },
    async open(_, signal) {
      // As who takes it over leaves it; the next beat of this one sees it.
      const lock = join(folder.dir, '.backupd', 'locks', 'drill-db');
      await copyFile(`${lock}.1.json`, `${lock}.2.json`);
      await once(signal, 'abort');
      throw signal.reason;
    },
  });
  await expect(drilled).rejects.toMatchObject({ code: 'locked' });
  expect(swept).toEqual(['db']);
  expect(await readdir(drilling)).not.toEqual([]);
});

describe('a restore that fails', () => {
  const ended = new BackupdError('restore-failed', 'the scratch container ended with 139');
  const away = new BackupdError('target-unavailable', 'no Docker socket');
  const stopped = new CannotDrill('target-unavailable', 'it was stopped');

  /** What comes of it where loading throws this, and the scratch explains itself so. */
  async function failing(
    thrown: BackupdError,
    explain: () => Promise<BackupdError | null>,
  ): Promise<string> {
    await commitBackup(app.context.catalog, { id: ID });
    const restorer = {
      preflight: () => Promise.resolve({ problems: [], existing: [] }),
      build: () => Promise.reject(thrown),
    };
    const scratch = { source: { restorer }, target: {}, notes: [], explain };
    const { skipped, failure } = await drill({ open: () => Promise.resolve(scratch as never) });
    return `${skipped === null ? 'failed' : 'skipped'}: ${failure?.message}`;
  }

  test.each([
    ['the tool failed', ended, null, 'failed: the scratch container ended with 139'],
    ['its server ended by itself', away, ended, 'failed: the scratch container ended with 139'],
    ['its server was stopped', ended, stopped, 'skipped: it was stopped'],
    ['Docker was away for a moment', away, null, 'skipped: no Docker socket'],
    [
      'the backup is damaged',
      new BackupdError('archive-corrupt', 'SHA-256 differs'),
      stopped,
      'failed: SHA-256 differs',
    ],
  ])('is a verdict only where it is no fault of the host: %s', async (_, thrown, fate, what) => {
    expect(await failing(thrown, () => Promise.resolve(fate))).toBe(what);
  });

  test('is no verdict where Docker is gone', async () => {
    expect(await failing(ended, () => Promise.reject(away))).toBe('skipped: no Docker socket');
  });
});

test('a drill that runs is spared, and what is left of others is removed', async () => {
  const swept: string[] = [];
  const scratches: Scratches = {
    ...NO_SCRATCHES,
    left: () => Promise.resolve(['db', 'wiki']),
    sweep(source) {
      swept.push(source);
      return Promise.resolve(1);
    },
  };
  const request = { command: 'drill db', waitMs: 0 };
  await using _drill = await acquireDrillLock(folder.dir, 'db', request, AbortSignal.timeout(5000));
  await sweepDrills({ ...app, scratches }, AbortSignal.timeout(30_000));
  expect(swept).toEqual(['wiki']);
});

test('what cannot be removed of one source is told, and keeps the others from nothing', async () => {
  const swept: string[] = [];
  const scratches: Scratches = {
    ...NO_SCRATCHES,
    left: () => Promise.resolve(['db', 'wiki']),
    sweep(source) {
      if (source === 'db') {
        return Promise.reject(new BackupdError('target-unavailable', 'device busy'));
      }
      swept.push(source);
      return Promise.resolve(1);
    },
  };
  await sweepDrills({ ...app, scratches }, AbortSignal.timeout(30_000));
  expect(swept).toEqual(['wiki']);
  const reason = 'what a drill left could not be removed: device busy';
  expect(app.events).toContainEqual({ type: 'recovery-postponed', source: 'db', reason });
});
