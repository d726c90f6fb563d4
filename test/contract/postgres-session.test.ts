import { expect, test } from 'vitest';
import { connectDocker } from '../../src/docker/connect.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { openSession } from '../../src/sources/postgres/session.ts';
import { readTools } from '../../src/sources/postgres/tools.ts';
import { startPostgres } from '../support/postgres.ts';
import { docker as dockerCli } from '../support/run-process.ts';

test('a session that ends with its container says so', async () => {
  await using server = await startPostgres();
  const signal = AbortSignal.timeout(60_000);
  const docker = connectDocker(process.env);
  const at = { containerId: server.id, container: server.name, run: 'test/session/1' };
  const tools = await readTools(docker, at, signal);
  const how = { user: null, passwordFile: null, run: at.run, tools };
  const connection = await connect(docker, at, how, signal);
  await using session = await openSession(connection, 'shop', signal);
  await session.run('select 1');

  const [asked] = await Promise.allSettled([
    session.run('select pg_sleep(3600)'),
    dockerCli('kill', server.name),
  ]);
  expect(asked).toMatchObject({
    status: 'rejected',
    reason: {
      code: 'dump-failed',
      message: `the session with PostgreSQL in "${server.name}" ended: the container stopped`,
    },
  });
});
