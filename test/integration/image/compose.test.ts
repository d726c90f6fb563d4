import { DockerComposeEnvironment, Wait } from 'testcontainers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { uniqueName } from '../../support/test-container.ts';
import { backupdImage } from '../../support/backupd.ts';

const ROOT = `${import.meta.dirname}/../../..`;
const PROJECT = uniqueName('compose');

let stack: Awaited<ReturnType<DockerComposeEnvironment['up']>>;

beforeAll(async () => {
  await backupdImage();
  stack = await new DockerComposeEnvironment(ROOT, 'docker-compose.test.yml')
    .withProjectName(PROJECT)
    .withWaitStrategy('backupd-1', Wait.forHealthCheck())
    .up();
});

afterAll(async () => {
  await stack.down({ removeVolumes: true });
});

test('the daemon backs up the labelled service of its own compose project, and restores it', async () => {
  const backupd = stack.getContainer('backupd-1');
  const db = stack.getContainer('db-1');
  const psql = ['psql', '-U', 'postgres', '-d', 'shop', '-qAt', '-c'];
  await db.exec([
    ...psql,
    'create table orders as select n as id from generate_series(1, 1000) as n',
  ]);

  // The daemon begins a first backup by itself.
  const backup = await backupd.exec(['backup', '--json', '--wait', '5m']);
  expect(backup).toMatchObject({ exitCode: 0, stderr: '' });
  expect(JSON.parse(backup.stdout)).toMatchObject({
    runs: [{ source: 'db', engine: 'postgres', outcome: 'success', error: null }],
  });

  await db.exec([...psql, 'drop table orders']);
  const restore = await backupd.exec(['restore', 'db', '--wait', '5m']);
  expect(restore.exitCode, restore.output).toBe(0);
  const counted = await db.exec([...psql, 'select count(*) from orders']);
  expect(counted).toMatchObject({ exitCode: 0, stdout: '1000\n' });
});

test('metrics are served to the outside', async () => {
  const backupd = stack.getContainer('backupd-1');
  const answer = await fetch(`http://127.0.0.1:${backupd.getMappedPort(9321)}/metrics`);
  expect(await answer.text()).toContain('backupd_source_info{source="db",engine="postgres"} 1');
});
