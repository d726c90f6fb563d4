import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { prune, pruneAfterBackup, type PruneRequest } from '../../../src/jobs/prune.ts';
import { pinBackup, unpinBackup } from '../../../src/jobs/pin.ts';
import { countRemoved, readAttempts } from '../../../src/store/attempts.ts';
import { recordSource } from '../../../src/store/known-sources.ts';
import { acquireLock } from '../../../src/store/lock.ts';
import { sampleApp } from '../../support/app.ts';
import { rewriteLock as pretendDeath } from '../../support/store-modules.ts';
import {
  backupId,
  commitBackup,
  emptyCatalog,
  sampleJob,
  type CatalogFixture,
} from '../../support/storage.ts';

const never = new AbortController().signal;

function request(changes: Partial<PruneRequest> = {}): PruneRequest {
  return { source: null, dryRun: false, yes: false, waitMs: 0, ...changes };
}

async function backups(fixture: CatalogFixture, count: number, source = 'db'): Promise<void> {
  for (let number = 1; number <= count; number += 1) {
    await commitBackup(fixture.catalog, { id: backupId(number), source });
  }
}

async function numbers(fixture: CatalogFixture, source = 'db'): Promise<readonly string[]> {
  return (await fixture.catalog.entries(source)).map(({ manifest }) => manifest.id);
}

const newestThree = [5, 4, 3].map((number) => backupId(number));

describe('prune', () => {
  test('removes what no rule keeps, oldest first, tells and counts it', async () => {
    await using fixture = await emptyCatalog();
    await backups(fixture, 5);
    const app = sampleApp({ ...fixture, jobs: [sampleJob()] });
    const { backups: verdicts, held, failures } = await prune(request(), app, never);
    expect(held).toEqual([]);
    expect(failures).toEqual([]);
    expect(verdicts.map(({ id, keep, removed }) => ({ id, keep, removed }))).toEqual([
      ...newestThree.map((id) => ({ id, keep: true, removed: false })),
      { id: backupId(2), keep: false, removed: true },
      { id: backupId(1), keep: false, removed: true },
    ]);
    expect(verdicts.every(({ reasons, where }) => reasons.length > 0 && where === 'local')).toBe(
      true,
    );
    expect(await numbers(fixture)).toEqual(newestThree);
    expect(app.events).toEqual(
      [1, 2].map((number) => ({
        type: 'backup-removed',
        source: 'db',
        where: 'local',
        id: backupId(number),
      })),
    );
    expect((await readAttempts(fixture.dir, 'db')).removedTotal).toBe(2);
    // A second time there is nothing to do.
    const again = await prune(request(), app, never);
    expect(again.backups.every(({ keep }) => keep)).toBe(true);
  });

  test('counts none whose files are not as recorded: the last one that is whole stays', async () => {
    await using fixture = await emptyCatalog();
    await backups(fixture, 5);
    for (const number of [3, 4, 5]) {
      await truncate(join(fixture.dir, 'db', backupId(number), 'shop.dump.zst'), 3);
    }
    const app = sampleApp({ ...fixture, jobs: [sampleJob()] });
    const { backups: verdicts } = await prune(request({ yes: true }), app, never);
    expect(verdicts.filter(({ keep }) => keep).map(({ id }) => id)).toContain(backupId(2));
    expect(await numbers(fixture)).toContain(backupId(2));
  });

  test('changes nothing and waits for nobody in a dry run', async () => {
    await using fixture = await emptyCatalog();
    await backups(fixture, 5);
    const app = sampleApp({ ...fixture, jobs: [sampleJob()] });
    await using _lock = await acquireLock(
      fixture.dir,
      'db',
      { command: 'backup db', waitMs: 0 },
      never,
    );
    const { backups: verdicts } = await prune(request({ dryRun: true }), app, never);
    expect(verdicts.filter(({ keep }) => !keep)).toHaveLength(2);
    expect(verdicts.some(({ removed }) => removed)).toBe(false);
    expect(await numbers(fixture)).toHaveLength(5);
    expect(app.events).toEqual([]);
  });

  test('never removes a pinned backup', async () => {
    await using fixture = await emptyCatalog();
    await backups(fixture, 5);
    const app = sampleApp({ ...fixture, jobs: [sampleJob()] });
    await pinBackup({ id: backupId(1), waitMs: 0 }, app, never);
    await prune(request(), app, never);
    expect(await numbers(fixture)).toEqual([...newestThree, backupId(1)]);
    await unpinBackup({ id: backupId(1), waitMs: 0 }, app, never);
    await prune(request(), app, never);
    expect(await numbers(fixture)).toEqual(newestThree);
  });

  test('holds where most of a source would go, of that source alone, until somebody says yes', async () => {
    await using fixture = await emptyCatalog();
    await backups(fixture, 9);
    await backups(fixture, 4, 'other');
    const jobs = [sampleJob(), sampleJob({ source: 'other' })];
    const app = sampleApp({ ...fixture, jobs });
    const { held, backups: verdicts } = await prune(request(), app, never);
    expect(held).toEqual([{ source: 'db', where: 'local', count: 6 }]);
    expect(await numbers(fixture)).toHaveLength(9);
    expect(await numbers(fixture, 'other')).toHaveLength(3);
    expect(verdicts.filter(({ removed }) => removed)).toHaveLength(1);
    expect(app.events[0]).toEqual({ type: 'prune-held', source: 'db', where: 'local', count: 6 });
    // For `status`.
    expect((await readAttempts(fixture.dir, 'db')).retentionFailure).toMatchObject({
      message: '6 backups would be removed, more than half of them, so none is',
    });
    expect(await readAttempts(fixture.dir, 'other')).not.toHaveProperty('retentionFailure');
    const confirmed = await prune(request({ source: 'db', yes: true }), app, never);
    expect(confirmed.held).toEqual([]);
    expect(await readAttempts(fixture.dir, 'db')).not.toHaveProperty('retentionFailure');
    expect(await numbers(fixture)).toHaveLength(3);
  });

  test('says that a source is locked, and goes on with the others', async () => {
    await using fixture = await emptyCatalog();
    await backups(fixture, 4);
    await backups(fixture, 4, 'other');
    const jobs = [sampleJob(), sampleJob({ source: 'other' })];
    await using _lock = await acquireLock(
      fixture.dir,
      'db',
      { command: 'backup db', waitMs: 0 },
      never,
    );
    const { failures } = await prune(request(), sampleApp({ ...fixture, jobs }), never);
    expect(failures).toMatchObject([{ source: 'db', failure: { code: 'locked' } }]);
    expect(await numbers(fixture)).toHaveLength(4);
    expect(await numbers(fixture, 'other')).toHaveLength(3);
  });

  test('keeps by the policy that a source had last, else by the global one', async () => {
    await using fixture = await emptyCatalog();
    await backups(fixture, 4, 'known');
    await backups(fixture, 4, 'unknown');
    const { keep } = sampleJob();
    await recordSource(
      fixture.dir,
      sampleJob({ source: 'known', keep: { ...keep, last: 4 } as typeof keep }),
    );
    await prune(request(), sampleApp(fixture), never);
    expect(await numbers(fixture, 'known')).toHaveLength(4);
    expect(await numbers(fixture, 'unknown')).toHaveLength(3);
  });

  test('removes nothing of a source whose configuration is wrong', async () => {
    await using fixture = await emptyCatalog();
    await backups(fixture, 4);
    const problem = {
      source: 'db',
      option: 'backupd.keep on container "demo-db-1"',
      message: '"dayly=7" is no policy',
      hint: null,
    };
    const wrong = sampleApp({ ...fixture, problems: [{ ...problem, severity: 'source' }] });
    const { failures } = await prune(request(), wrong, never);
    expect(failures).toMatchObject([{ source: 'db', failure: { code: 'config-invalid' } }]);
    expect(await numbers(fixture)).toHaveLength(4);
    const loud = sampleApp({ ...fixture, problems: [{ ...problem, severity: 'loud' }] });
    expect((await prune(request(), loud, never)).failures).toEqual([]);
    expect(await numbers(fixture)).toHaveLength(3);
  });

  test('knows a source by its backups, its configuration or its past, and no other', async () => {
    await using fixture = await emptyCatalog();
    const app = sampleApp({ ...fixture, jobs: [sampleJob({ source: 'new' })] });
    await recordSource(fixture.dir, sampleJob({ source: 'gone' }));
    for (const source of ['new', 'gone']) {
      expect((await prune(request({ source }), app, never)).backups).toEqual([]);
    }
    await expect(prune(request({ source: 'nobody' }), app, never)).rejects.toMatchObject({
      code: 'source-not-found',
      hint: 'Sources are: gone, new.',
    });
  });

  test('ends with the reason of the signal, and counts what it removed', async () => {
    await using fixture = await emptyCatalog();
    await backups(fixture, 6);
    const controller = new AbortController();
    const app = sampleApp({ ...fixture, jobs: [sampleJob()] });
    const { catalog } = app.context;
    const cutShort = {
      ...app,
      context: {
        ...app.context,
        catalog: {
          ...catalog,
          remove: async (backup: Parameters<typeof catalog.remove>[0]) => {
            controller.abort(new Error('enough'));
            return catalog.remove(backup);
          },
        },
      },
    };
    await expect(prune(request(), cutShort, controller.signal)).rejects.toThrow('enough');
    expect(await numbers(fixture)).toHaveLength(5);
    expect((await readAttempts(fixture.dir, 'db')).removedTotal).toBe(1);
  });
});

describe('pruneAfterBackup', () => {
  test("applies the job's own policy", async () => {
    await using fixture = await emptyCatalog();
    await backups(fixture, 5);
    await countRemoved(fixture.dir, 'db', 10);
    const app = sampleApp(fixture);
    const result = await pruneAfterBackup(sampleJob(), app.context, never);
    expect(result.failures).toEqual([]);
    expect(await numbers(fixture)).toEqual(newestThree);
    expect((await readAttempts(fixture.dir, 'db')).removedTotal).toBe(12);
  });

  test('clears up after a run that died, which it is the only one to learn of', async () => {
    await using fixture = await emptyCatalog();
    await backups(fixture, 2);
    const app = sampleApp(fixture);
    const lock = await acquireLock(fixture.dir, 'db', { command: 'daemon', waitMs: 0 }, never);
    await lock.describe({
      id: backupId(3),
      startedAt: '2026-01-01T03:00:00.000Z',
      trigger: 'schedule',
    });
    await pretendDeath(fixture.dir, 'db');
    expect((await pruneAfterBackup(sampleJob(), app.context, never)).failures).toEqual([]);
    const { attempts } = await readAttempts(fixture.dir, 'db');
    expect(attempts).toMatchObject([
      { at: '2026-01-01T03:00:00.000Z', outcome: 'interrupted', trigger: 'schedule' },
    ]);
  });
});
