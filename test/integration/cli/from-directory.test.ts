import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runBackupd } from '../../support/backupd.ts';
import { having } from '../../support/matchers.ts';
import { otherDisk } from '../../support/other-disk.ts';
import { startPostgres } from '../../support/postgres.ts';
import { temporaryFolder } from '../../support/storage.ts';

const ORDERS = 'select count(*), md5(string_agg(what, null order by id)) from orders';

test('an empty host restores from a directory, also where only the backups were copied to it', async () => {
  await using server = await startPostgres();
  await server.sql(
    'create table orders as select n as id, md5(n::text) as what from generate_series(1, 1000) as n',
  );
  await using nas = await otherDisk();
  const nasOptions = { volumes: [`${nas.path}:/nas`], user: '0:0' };
  const env = { BACKUPD_DESTINATIONS: 'nas', BACKUPD_DEST_NAS_PATH: '/nas' };
  await using origin = await temporaryFolder();
  const old = {
    ...nasOptions,
    backups: origin.dir,
    env: {
      ...env,
      BACKUPD_NAMESPACE: 'shop',
      BACKUPD_SOURCES: `orders=postgres://${server.name}/shop`,
    },
  };
  for (const args of [
    ['backup', 'orders'],
    ['upload', 'nas'],
  ]) {
    const ran = await runBackupd(args, old);
    expect(ran.exitCode, ran.stdout + ran.stderr).toBe(0);
  }

  // A copy of the disk by somebody who saw no hidden folder.
  await using copied = await otherDisk();
  await cp(join(nas.path, 'shop'), join(copied.path, 'shop'), { recursive: true });
  await rm(join(copied.path, 'shop/.backupd'), { recursive: true });
  for (const place of [nas, copied]) {
    await using empty = await startPostgres();
    await using dir = await temporaryFolder();
    const host = { ...nasOptions, volumes: [`${place.path}:/nas`], backups: dir.dir, env };
    const listed = await runBackupd(['list', '--from', 'nas', '--json'], host);
    expect(JSON.parse(listed.stdout)).toEqual([having({ source: 'orders' })]);
    const restored = await runBackupd(['restore', '--from', 'nas', '--into', empty.name], host);
    expect(restored.exitCode, restored.stdout + restored.stderr).toBe(0);
    expect(await empty.sql(ORDERS)).toBe(await server.sql(ORDERS));
  }
}, 400_000);
