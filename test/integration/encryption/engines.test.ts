import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openCommandBox, type CommandBox } from '../../support/command-box.ts';
import { newAgeKey } from '../../support/keys.ts';
import { having } from '../../support/matchers.ts';
import { startMysql } from '../../support/mysql.ts';
import { testVolume } from '../../support/test-container.ts';
import { fingerprintVolume, inVolume } from '../../support/volume.ts';

const { identity, recipient } = await newAgeKey();
const KEY = { BACKUPD_AGE_IDENTITY: identity };

async function encryptedBackup(box: CommandBox, source: string): Promise<readonly string[]> {
  const { runs } = await box.json<{ runs: { id: string }[] }>(['backup', source]);
  const id = runs[0]?.id ?? '';
  const verified = await box.backupd(['verify', id, '--json'], { env: KEY });
  expect(JSON.parse(verified.stdout)).toEqual([having({ ok: true, depth: 'content' })]);
  const names = await readdir(join(box.dir, source, id));
  return names.filter((name) => name !== 'manifest.json' && name !== 'receipts').toSorted();
}

async function restore(box: CommandBox, source: string): Promise<void> {
  const without = await box.backupd(['restore', source, '--yes']);
  expect(without.exitCode).toBe(15);
  const { exitCode, stderr } = await box.backupd(['restore', source, '--yes'], { env: KEY });
  expect(exitCode, stderr).toBe(0);
}

test.each(['mariadb:11.8', 'mysql:9.7'])('%s is encrypted, and comes back', async (image) => {
  await using server = await startMysql({ image });
  await server.sql(
    `create table orders (id int primary key, what text); insert into orders values (1, 'one'), (2, 'two');
     create user clerk identified by 'secret'; grant select on shop.* to clerk;`,
  );
  const engine = image.startsWith('mariadb') ? 'mariadb' : 'mysql';
  await using box = await openCommandBox({
    BACKUPD_SOURCES: `db=${engine}://${server.name}/shop`,
    BACKUPD_AGE_RECIPIENTS: recipient,
  });
  expect(await encryptedBackup(box, 'db')).toEqual(['shop.sql.zst.age', 'users.sql.zst.age']);
  await server.sql('drop table orders; drop user clerk');
  await restore(box, 'db');
  expect(await server.sql('select * from orders order by id')).toBe('1\tone\n2\ttwo');
  expect(await server.sql(`select count(*) from mysql.user where user = 'clerk'`)).toBe('1');
});

test('a volume is encrypted, and comes back', async () => {
  await using volume = await testVolume();
  await inVolume(
    volume.name,
    'mkdir photos; head -c 3000000 /dev/urandom > photos/one; ln photos/one two; chmod 640 two',
  );
  const before = await fingerprintVolume(volume.name);
  await using box = await openCommandBox({
    BACKUPD_SOURCES: `files=volume://${volume.name}`,
    BACKUPD_AGE_RECIPIENTS: recipient,
  });
  expect(await encryptedBackup(box, 'files')).toEqual([`${volume.name}.tar.zst.age`]);
  await inVolume(volume.name, 'rm -r photos; echo other > two');
  await restore(box, 'files');
  expect(await fingerprintVolume(volume.name)).toEqual(before);
});
