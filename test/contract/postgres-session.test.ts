import { expect, test } from 'vitest';
import { BackupdError } from '../../src/core/errors.ts';
import { connectDocker } from '../../src/docker/connect.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { openSession, type Session } from '../../src/sources/postgres/session.ts';
import { readTools } from '../../src/sources/postgres/tools.ts';
import { dockerRelay } from '../support/docker-relay.ts';
import { startPostgres, type Postgres } from '../support/postgres.ts';
import { docker as dockerCli } from '../support/run-process.ts';

test('a session that ends with its container says so', async () => {
  await using server = await startPostgres();
  await using session = await openOn(server, process.env, AbortSignal.timeout(60_000));
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

test('a session that Docker leaves ends as a failed dump: its tool ran', async () => {
  await using server = await startPostgres();
  await using relay = await dockerRelay();
  await using session = await openOn(
    server,
    { DOCKER_HOST: `unix://${relay.path}` },
    AbortSignal.timeout(60_000),
  );
  await session.run('select 1');

  const [asked] = await Promise.allSettled([session.run('select pg_sleep(3600)'), relay.leave()]);
  expect(asked).toMatchObject({
    status: 'rejected',
    reason: {
      code: 'dump-failed',
      message: `the session with PostgreSQL in "${server.name}" ended: no Docker socket at ${relay.path}`,
    },
  });
});

test('a session that we end says why we did', async () => {
  await using server = await startPostgres();
  const ending = new AbortController();
  await using session = await openOn(server, process.env, ending.signal);
  await session.run('select 1');

  const asked = session.run('select pg_sleep(3600)');
  const reason = new BackupdError('timeout', 'it took too long');
  ending.abort(reason);
  await expect(asked).rejects.toBe(reason);
});

async function openOn(
  server: Postgres,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Session> {
  const docker = connectDocker(env);
  const at = { containerId: server.id, container: server.name, run: 'test/session/1' };
  const tools = await readTools(docker, at, signal);
  const how = { user: null, passwordFile: null, run: at.run, tools };
  return openSession(await connect(docker, at, how, signal), 'shop', signal);
}
