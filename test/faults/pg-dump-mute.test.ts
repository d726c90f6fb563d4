import { expect, test } from 'vitest';
import { expectCleanTarget, expectGoodRun, startStage } from '../support/fault-stage.ts';

/** Docker carries both on one connection and may let the dump overtake what pg_dump said before it, its locks included. */
test('a pg_dump that is heard only after its dump is backed up all the same', async () => {
  await using stage = await startStage();
  await stage.tool.set('mute');
  await expectGoodRun(stage, { BACKUPD_COMPRESS_IN: 'backupd', BACKUPD_TIMEOUT: '30s' });
  await expect(stage.tool.reached()).resolves.toBeUndefined();
  await expectCleanTarget(stage);
});
