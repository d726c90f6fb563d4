import { afterAll, beforeAll, expect, test } from 'vitest';
import { endureFault, runBackup, startStage, type FaultStage } from '../support/fault-stage.ts';
import { postgresIn } from '../support/postgres.ts';

let stage: FaultStage;

beforeAll(async () => {
  stage = await startStage({
    server: {
      env: {
        POSTGRES_PASSWORD: 'sesame-first',
        POSTGRES_INITDB_ARGS: '--auth-local=scram-sha-256 --auth-host=scram-sha-256',
      },
    },
  });
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test('a wrong password is what the failure says, without the password', async () => {
  const changed = postgresIn(stage.server, {
    POSTGRES_PASSWORD: 'sesame-second',
    POSTGRES_DB: 'shop',
  });
  await stage.server.sql(`alter role postgres password 'sesame-second'`);
  const { stdout } = await runBackup(stage);
  expect(stdout).not.toContain('sesame');
  await endureFault(stage, {
    async repair() {
      await changed.sql(`alter role postgres password 'sesame-first'`);
    },
    exitCode: 21,
    code: 'dump-failed',
    message:
      /^cannot connect to PostgreSQL in "\S+" as "postgres": .*password authentication failed/,
  });
});

test('a role without rights is named with what it may not read', async () => {
  await stage.server.sql(`create role reader login password 'sesame-first'`);
  await endureFault(stage, {
    env: { BACKUPD_SOURCE_DB_USER: 'reader' },
    exitCode: 21,
    code: 'dump-failed',
    message: /permission denied/,
  });
});
