import { expect, test } from 'vitest';
import { liveApp } from '../support/live-app.ts';
import { docker } from '../support/run-process.ts';
import { startContainer } from '../support/test-container.ts';
import { waitFor } from '../support/wait-for.ts';

/** An init script that fills the database in two steps, the second when it is told to. */
const FILLING = `psql -q -U postgres -d shop -c 'create table filled as select generate_series(1, 1000) as id'
until [ -e /tmp/go-on ]; do sleep 0.1; done
psql -q -U postgres -d shop -c 'insert into filled select generate_series(1001, 2000)'`;
const START = `printf '%s\\n' "$FILLING" >/docker-entrypoint-initdb.d/fill.sh
exec docker-entrypoint.sh postgres -c log_connections=on`;

test('a server that is still being filled for the first time is waited for', async () => {
  await using container = await startContainer({
    image: 'postgres:17',
    env: { POSTGRES_PASSWORD: 'test', POSTGRES_DB: 'shop', FILLING },
    entrypoint: 'sh',
    args: ['-c', START],
  });
  await using live = await liveApp({ sources: { db: `postgres://${container.name}` } });
  await waitFor('first half', async () => {
    const { stdout } = await container.exec([
      'psql',
      '-U',
      'postgres',
      '-d',
      'shop',
      '-Atc',
      'select count(*) from filled',
    ]);
    return stdout.trim() === '1000';
  });

  const running = live.backUp('db');
  // More than a look needs, and no more than a dump would have by its end.
  await waitFor(
    'second look',
    async () => (await container.logs()).split('application_name=backupd').length > 8,
  );
  await container.exec(['touch', '/tmp/go-on']);
  const run = await running;

  expect(run.failure).toBeNull();
  expect(run.manifest?.facts.databases['shop']?.tables['public.filled']).toEqual({
    rows: 2000,
    exact: true,
  });
});

test('a server that listens on no address for good is not waited for', async () => {
  await using container = await startContainer({
    image: 'postgres:17',
    env: { POSTGRES_PASSWORD: 'test', POSTGRES_DB: 'shop' },
    args: ['-c', 'fsync=off', '-c', 'listen_addresses='],
  });
  await waitFor('server', async () => {
    const script = `[ "$(cat /proc/1/comm)" = postgres ] && pg_isready -q -U postgres`;
    return (await container.exec(['sh', '-c', script])).exitCode === 0;
  });
  await using live = await liveApp({ sources: { db: `postgres://${container.name}/shop` } });
  expect((await live.backedUp('db')).databases).toEqual(['shop']);
});

test('a server that does not answer yet, since its container was started just now, is waited for', async () => {
  const late = 'until [ -e /tmp/go-on ]; do sleep 0.1; done; exec docker-entrypoint.sh postgres';
  await using container = await startContainer({
    image: 'postgres:17',
    env: { POSTGRES_PASSWORD: 'test', POSTGRES_DB: 'shop' },
    entrypoint: 'sh',
    args: ['-c', late],
  });
  await using live = await liveApp({ sources: { db: `postgres://${container.name}/shop` } });
  const since = Date.now() / 1000;
  const running = live.backUp('db');
  await waitFor(
    'second look',
    async () => (await triesSince(container.name, since)) > TRIES_A_LOOK,
  );
  await container.exec(['touch', '/tmp/go-on']);
  const run = await running;
  expect(run.failure).toBeNull();
  expect(run.manifest?.databases).toEqual(['shop']);
});

/** Three databases, with and without an option of newer versions. */
const TRIES_A_LOOK = 6;

/** How often somebody tried to log in. */
async function triesSince(container: string, since: number): Promise<number> {
  const filters = ['--filter', `container=${container}`, '--filter', 'event=exec_create'];
  const now = String(Date.now() / 1000);
  const events = await docker('events', '--since', String(since), '--until', now, ...filters);
  return events.split('select 1').length - 1;
}
