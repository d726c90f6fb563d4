import { expect, test } from 'vitest';
import { startDaemon } from '../../support/backupd.ts';
import { startIdleContainer } from '../../support/idle-container.ts';
import { having } from '../../support/matchers.ts';
import { startMongodb } from '../../support/mongodb.ts';
import { startMysql } from '../../support/mysql.ts';
import { startPostgres } from '../../support/postgres.ts';
import { testVolume } from '../../support/test-container.ts';
import { waitFor } from '../../support/wait-for.ts';

const ENGINES = ['mariadb', 'mongodb', 'postgres', 'volume'];

test('sources of several engines are backed up on one schedule, and restored by one command each', async () => {
  await using stack = new AsyncDisposableStack();
  const [postgres, mariadb, mongodb, files, backups] = await Promise.all([
    startPostgres(),
    startMysql({ image: 'mariadb:11.8' }),
    startMongodb(),
    testVolume(),
    testVolume(),
  ]);
  for (const one of [files, backups, postgres, mariadb, mongodb]) {
    stack.use(one);
  }
  const writer = stack.use(await startIdleContainer({ volumes: [`${files.name}:/files`] }));
  await postgres.sql('create table t (n int); insert into t values (1)');
  await mariadb.sql('create table t (n int); insert into t values (1)');
  await mongodb.js('db.t.insertOne({ _id: 1 })');
  await writer.exec(['sh', '-c', 'echo one >/files/t']);
  const daemon = stack.use(
    await startDaemon({
      backups: backups.name,
      env: {
        BACKUPD_DISCOVER: 'off',
        BACKUPD_SCHEDULE: '0 0 1 1 *',
        BACKUPD_CONCURRENCY: '2',
        BACKUPD_SOURCES: `postgres=postgres://${postgres.name} mariadb=mariadb://${mariadb.name}
          mongodb=mongodb://${mongodb.name} volume=volume://${files.name}`,
      },
    }),
  );
  // None has a backup yet: the first one comes by itself.
  await waitFor(
    'a backup of each',
    async () => (await daemon.cli(['status'])).exitCode === 0,
    120_000,
  );
  const { stdout } = await daemon.cli(['status', '--json']);
  const nextRunAt = `${new Date().getUTCFullYear() + 1}-01-01T00:00:00.000Z`;
  expect(JSON.parse(stdout)).toMatchObject({
    healthy: true,
    sources: ENGINES.map((engine) =>
      having({ source: engine, engine, state: 'ok', nextRunAt, warnings: {} }),
    ),
  });

  await postgres.sql('drop table t');
  await mariadb.sql('drop table t');
  await mongodb.js('db.t.drop()');
  await writer.exec(['rm', '/files/t']);
  for (const source of ENGINES) {
    const stop = source === 'volume' ? ['--stop', writer.name] : [];
    const { exitCode, stderr } = await daemon.cli(['restore', source, ...stop]);
    expect({ source, exitCode, stderr }).toMatchObject({ exitCode: 0 });
  }
  expect(await postgres.sql('select n from t')).toBe('1');
  expect(await mariadb.sql('select n from t')).toBe('1');
  expect(await mongodb.js('return db.t.findOne()._id')).toBe(1);
  expect((await writer.exec(['cat', '/files/t'])).stdout).toBe('one\n');
});
