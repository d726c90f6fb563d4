import { expect, test } from 'vitest';
import { recordInterrupted } from '../../../src/jobs/recover.ts';
import { readAttempts } from '../../../src/store/attempts.ts';
import type { LockHolder } from '../../../src/store/lock.ts';
import { sampleApp } from '../../support/app.ts';
import { backupId, commitBackup, emptyCatalog } from '../../support/storage.ts';

const dead: LockHolder = {
  command: 'backup db',
  pid: 1,
  pidNamespace: null,
  bootId: null,
  startTicks: null,
  hostname: 'gone',
  since: '2026-01-01T01:00:00.000Z',
  run: { id: backupId(1), startedAt: '2026-01-01T01:00:00.000Z', trigger: 'schedule' },
};

test('a run whose process died and that left no backup was interrupted', async () => {
  await using fixture = await emptyCatalog();
  const { context } = sampleApp(fixture);
  await recordInterrupted('db', dead, context);
  const { attempts, totals } = await readAttempts(fixture.dir, 'db');
  expect(totals).toMatchObject({ interrupted: 1, success: 0 });
  expect(attempts).toMatchObject([
    {
      at: dead.run?.startedAt,
      outcome: 'interrupted',
      trigger: 'schedule',
      id: null,
      failure: { code: 'cancelled', message: expect.stringContaining('"backup db"') as unknown },
    },
  ]);
});

test('one that died after its backup was there succeeded', async () => {
  await using fixture = await emptyCatalog();
  await commitBackup(fixture.catalog, { id: backupId(1) });
  await recordInterrupted('db', dead, sampleApp(fixture).context);
  const { attempts, totals } = await readAttempts(fixture.dir, 'db');
  expect(totals).toMatchObject({ interrupted: 0, success: 1 });
  expect(attempts).toMatchObject([{ outcome: 'success', id: backupId(1), failure: null }]);
});

test('a holder that ran no backup, and a lock that was free, leave no attempt', async () => {
  await using fixture = await emptyCatalog();
  const { context } = sampleApp(fixture);
  await recordInterrupted('db', { ...dead, run: null }, context);
  await recordInterrupted('db', null, context);
  expect((await readAttempts(fixture.dir, 'db')).attempts).toEqual([]);
});

test('one that died after it had recorded how it ended is not counted twice', async () => {
  await using fixture = await emptyCatalog();
  const { context } = sampleApp(fixture);
  await recordInterrupted('db', dead, context);
  await recordInterrupted('db', dead, context);
  expect((await readAttempts(fixture.dir, 'db')).totals).toMatchObject({ interrupted: 1 });
});
