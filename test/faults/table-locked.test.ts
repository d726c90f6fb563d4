import { test } from 'vitest';
import { endureFault, startStage } from '../support/fault-stage.ts';
import { docker } from '../support/run-process.ts';
import { waitFor } from '../support/wait-for.ts';

const HOLD = `
  { echo 'begin; lock table orders in access exclusive mode;'; sleep 600; } |
    PGAPPNAME=nightly-job psql -U postgres shop`;

test('a table that an idle session has locked is named with its holder at the timeout', async () => {
  await using stage = await startStage();
  const { server } = stage;
  await docker('exec', '--detach', server.name, 'sh', '-c', HOLD);
  await waitFor('lock', async () => {
    const locks = `select count(*) from pg_locks where mode = 'AccessExclusiveLock' and relation = 'orders'::regclass`;
    return (await server.sql(locks)) === '1';
  });
  await endureFault(stage, {
    env: { BACKUPD_TIMEOUT: '12s' },
    async repair() {
      await server.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nightly-job'`,
      );
    },
    exitCode: 25,
    code: 'timeout',
    message:
      /^the backup of "db" did not end within 12 s: pg_dump waited for a lock on (public\.)?orders, held by session \d+ \(nightly-job, user postgres, idle in transaction, since /,
  });
});
