import { expect, test } from 'vitest';
import { endureFault, HALF_BYTES, processesOfRuns, startStage } from '../support/fault-stage.ts';
import { docker } from '../support/run-process.ts';

test('a target that is frozen is given up at the timeout, and cleared once it thaws', async () => {
  await using stage = await startStage();
  await stage.tool.set(`stall ${HALF_BYTES}`);
  await endureFault(stage, {
    env: { BACKUPD_TIMEOUT: '12s' },
    async happen() {
      await stage.tool.reached();
      await docker('pause', stage.server.name);
    },
    async repair() {
      await docker('unpause', stage.server.name);
      expect(await processesOfRuns(stage.server)).not.toEqual([]);
    },
    leavesProcesses: true,
    exitCode: 25,
    code: 'timeout',
    message: /^the backup of "db" did not end within 12 s/,
  });
});
