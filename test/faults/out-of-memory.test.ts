import { afterAll, beforeAll, describe, it } from 'vitest';
import { endureFault, HALF_BYTES, startStage, type FaultStage } from '../support/fault-stage.ts';

let stage: FaultStage;

beforeAll(async () => {
  stage = await startStage({ server: { more: ['--memory', '256m', '--memory-swap', '256m'] } });
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

describe('pg_dump that the out-of-memory killer takes', () => {
  it.each(['target', 'backupd'])('leaves no backup, compressed in the %s', async (where) => {
    await stage.tool.set(`devour ${HALF_BYTES}`);
    await endureFault(stage, {
      env: { BACKUPD_COMPRESS_IN: where },
      happen: async () => stage.tool.reached(),
      exitCode: 21,
      code: 'dump-failed',
      message: /pg_dump in container "\S+" was killed \(exit code 137\), maybe for lack of memory/,
    });
  });
});
