import { expect, test } from 'vitest';
import {
  endureFault,
  expectCleanTarget,
  expectGoodRun,
  startStage,
} from '../support/fault-stage.ts';

test('a target without zstd, with busybox for a shell, a read-only root, a tiny /tmp and no root is backed up, and cleared', async () => {
  await using stage = await startStage({
    server: {
      image: 'backupd-test/postgres-bare:17',
      readOnly: true,
      tmpfs: { '/tmp': 'size=1m', '/var/run/postgresql': 'uid=999,mode=3775' },
    },
  });
  const { stdout } = await stage.server.exec(['sh', '-c', 'command -v zstd; touch /file; id -u']);
  expect(stdout).toMatch(/^[1-9]\d*\n$/);
  await expectGoodRun(stage);
  await expectCleanTarget(stage);
  await stage.tool.set('stall 1000000');
  await endureFault(stage, {
    env: { BACKUPD_TIMEOUT: '12s' },
    happen: async () => stage.tool.reached(),
    exitCode: 25,
    code: 'timeout',
    message: /^the backup of "db" did not end within 12 s/,
  });
});
