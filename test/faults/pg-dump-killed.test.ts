import { afterAll, beforeAll, describe, it } from 'vitest';
import { endureFault, HALF_BYTES, startStage, type FaultStage } from '../support/fault-stage.ts';
import { killIn } from '../support/processes.ts';

let stage: FaultStage;

beforeAll(async () => {
  stage = await startStage();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

const WHERE = ['target', 'backupd'] as const;

describe('pg_dump that is killed', () => {
  it.each(WHERE)('half-way leaves no backup, compressed in the %s', async (where) => {
    await stage.tool.set(`stall ${HALF_BYTES}`);
    await endureFault(stage, {
      env: { BACKUPD_COMPRESS_IN: where },
      async happen() {
        await stage.tool.reached();
        await killIn(stage.server.name, '/usr/lib/postgresql/17/bin/pg_dump');
        await stage.tool.release();
      },
      exitCode: 21,
      code: 'dump-failed',
      message: /pg_dump in container "\S+" was killed \(exit code 137\)/,
    });
  });

  it.each(WHERE)(
    'after its last byte, before it could exit, leaves no backup, compressed in the %s',
    async (where) => {
      await stage.tool.set('die');
      await endureFault(stage, {
        env: { BACKUPD_COMPRESS_IN: where },
        happen: async () => stage.tool.reached(),
        exitCode: 21,
        code: 'dump-failed',
        message: /pg_dump in container "\S+" was killed \(exit code 137\)/,
      });
    },
  );
});
