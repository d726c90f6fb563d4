import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runBackupd, startDaemon } from '../../support/backupd.ts';
import { HALF_BYTES, backupdOf, startStage, type FaultStage } from '../../support/fault-stage.ts';
import { having } from '../../support/matchers.ts';
import { startPostgres } from '../../support/postgres.ts';
import { docker } from '../../support/run-process.ts';
import { temporaryFolder } from '../../support/storage.ts';
import { testVolume } from '../../support/test-container.ts';

let stage: FaultStage;

beforeAll(async () => {
  stage = await startStage();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test('docker run restores from nothing but the volume and the socket', async () => {
  const made = await stage.daemon.cli(['backup', 'db', '--json', '--wait', '1m']);
  expect(made.exitCode, made.stdout).toBe(0);
  const orders = 'select count(*), md5(string_agg(what, null order by id)) from orders';
  const before = await stage.server.sql(orders);
  // Neither daemon nor project nor configuration: another host.
  await stage.daemon[Symbol.asyncDispose]();
  await using empty = await startPostgres();
  const host = { backups: stage.volume.name };
  const list = await runBackupd(['list', '--json'], host);
  expect(JSON.parse(list.stdout)).toEqual([having({ source: 'db' })]);

  const restore = await runBackupd(['restore', '--into', empty.name], host);
  expect(restore.exitCode, restore.stderr).toBe(0);
  expect(restore.stdout).toContain('restored');
  expect(await empty.sql(orders)).toBe(before);
  const undone = await runBackupd(['restore', 'db', '--undo', '--json'], host);
  expect(undone.exitCode, undone.stderr).toBe(0);
  expect(await empty.sql(`select to_regclass('orders') is null`)).toBe('t');
});

test('sources come from BACKUPD_SOURCES_FILE, options from a file, and config says from where', async () => {
  await using volume = await testVolume();
  await using folder = await temporaryFolder();
  await writeFile(join(folder.dir, 'sources'), `files=postgres://${stage.server.name}/shop\n`);
  await writeFile(
    join(folder.dir, 'backupd.yml'),
    [
      'schedule: off',
      'keep: last=3',
      'sources:',
      '  listed:',
      '    engine: postgres',
      `    container: ${stage.server.name}`,
      '    databases: [postgres]',
      '    keep: last=5',
    ].join('\n'),
  );
  await using daemon = await startDaemon({
    backups: volume.name,
    volumes: [`${folder.dir}:/etc/backupd:ro`],
    user: '0:0',
    env: {
      BACKUPD_CONFIG: '/etc/backupd/backupd.yml',
      BACKUPD_SOURCES_FILE: '/etc/backupd/sources',
      BACKUPD_KEEP: 'last=4',
    },
  });
  const { stdout } = await daemon.cli(['backup', '--json', '--wait', '1m']);
  expect(JSON.parse(stdout)).toEqual({
    runs: ['files', 'listed'].map((source) => having({ source, outcome: 'success' })),
  });
  const config = await daemon.cli(['config', '--json']);
  expect(config).toMatchObject({ exitCode: 0, stderr: '' });
  const { options, sources } = JSON.parse(config.stdout) as {
    options: readonly unknown[];
    sources: readonly { source: string; options: readonly unknown[] }[];
  };
  const file = '/etc/backupd/backupd.yml';
  expect(options).toEqual(
    expect.arrayContaining([
      { name: 'BACKUPD_KEEP', value: 'last=4', from: 'environment' },
      { name: 'BACKUPD_SCHEDULE', value: 'off', from: `file ${file}` },
      having({ name: 'BACKUPD_SOURCES', from: 'BACKUPD_SOURCES_FILE' }),
    ]),
  );
  const listed = sources.find(({ source }) => source === 'listed');
  expect(listed?.options).toEqual(
    expect.arrayContaining([having({ value: 'last=5', from: `file ${file}` })]),
  );
});

test('a wrong configuration is told at once and whole, before the directory is opened', async () => {
  await using volume = await testVolume();
  const { exitCode, stdout, stderr } = await runBackupd([], {
    backups: volume.name,
    env: { BACKUPD_SCHEDULE: 'at noon', BACKUPD_TIMEOUT: 'soon' },
  });
  expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' });
  expect(stderr.match(/^error: .*$/gm)).toEqual(['error: 2 options are wrong']);
  for (const text of ['BACKUPD_SCHEDULE', '"at noon"', 'BACKUPD_TIMEOUT', '"soon"']) {
    expect(stderr).toContain(text);
  }
  expect(await inDebian(`${volume.name}:/backups`, 'ls -A /backups')).toBe('');
});

test('prune --wait waits for a run that is under way', async () => {
  await using volume = await testVolume();
  const options = backupdOf(stage, volume, { BACKUPD_KEEP: 'last=1' });
  await using daemon = await startDaemon(options);
  await daemon.cli(['backup', 'db', '--json', '--wait', '1m']);
  await stage.tool.set(`stall ${HALF_BYTES}`);
  const running = daemon.cli(['backup', 'db', '--json']);
  await stage.tool.reached();
  const refused = await daemon.cli(['prune', 'db', '--json']);
  expect(refused).toMatchObject({ exitCode: 11, stderr: '' });
  const waiting = daemon.cli(['prune', 'db', '--json', '--wait', '2m']);
  await stage.tool.clear();
  await stage.tool.release();
  expect(await running).toMatchObject({ exitCode: 0 });
  const pruned = await waiting;
  expect(pruned, pruned.stdout).toMatchObject({ exitCode: 0, stderr: '' });
  const list = await daemon.cli(['list', 'db', '--json']);
  expect(JSON.parse(list.stdout)).toHaveLength(1);
});

test('as any user with the group of the socket it backs up and restores', async () => {
  await using folder = await temporaryFolder();
  const group = await inDebian('/var/run/docker.sock:/socket', 'stat --format %g /socket');
  const options = backupdOf(stage, { name: folder.dir });
  const user = '12345';
  await inDebian(`${folder.dir}:/backups`, `chown ${user} /backups`);
  await using daemon = await startDaemon({
    ...options,
    user: `${user}:${user}`,
    more: ['--group-add', group],
  });
  const made = await daemon.cli(['backup', 'db', '--json', '--wait', '1m']);
  expect(made, made.stdout + made.stderr).toMatchObject({ exitCode: 0, stderr: '' });
  await stage.server.sql('drop table orders');
  const restored = await daemon.cli(['restore', 'db', '--wait', '1m']);
  expect(restored.exitCode, restored.stderr).toBe(0);
  expect(await stage.server.sql('select count(*) from orders')).toBe('40000');
  const find = String.raw`find /backups/db /backups/.backupd -printf '%y %u %m\n'`;
  const modes = await daemon.exec(['sh', '-c', find]);
  const kinds = new Set(modes.stdout.trim().split('\n'));
  expect([...kinds].toSorted()).toEqual([`d ${user} 700`, `f ${user} 600`]);
});

async function inDebian(volume: string, script: string): Promise<string> {
  return docker('run', '--rm', '--volume', volume, 'debian:trixie-slim', 'sh', '-c', script);
}
