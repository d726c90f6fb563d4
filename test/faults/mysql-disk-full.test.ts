import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCommandBox, type CommandBox } from '../support/command-box.ts';
import { fingerprintMysql, type MysqlFingerprint } from '../support/mysql-fingerprint.ts';
import { startMysql, type Mysql } from '../support/mysql.ts';

const DATA = '/var/lib/mysql';
const MB = 1024 * 1024;

describe.each([
  { image: 'mysql:9.7', disk: '700m' },
  { image: 'mariadb:11.8', disk: '500m' },
])('a disk of $image', ({ image, disk }) => {
  let server: Mysql;
  let box: CommandBox;
  let before: MysqlFingerprint;
  const stack = new AsyncDisposableStack();

  beforeAll(async () => {
    server = stack.use(await startMysql({ image, tmpfs: { [DATA]: `size=${disk}` } }));
    await server.sql(`
      create table orders (id int primary key, what text);
      insert into orders with recursive c as (select 1 as n union all select n + 1 from c where n < 1000)
        select n, concat(sha2(n, 512), sha2(-n, 512)) from c;
      insert into orders select id + 1000, what from orders; insert into orders select id + 2000, what from orders;
      insert into orders select id + 4000, what from orders; insert into orders select id + 8000, what from orders;
      insert into orders select id + 16000, what from orders; insert into orders select id + 32000, what from orders;
      analyze table orders;`);
    box = stack.use(
      await openCommandBox({ BACKUPD_SOURCES: `db=${image.split(':')[0] ?? ''}://${server.name}` }),
    );
    await box.json(['backup', 'db']);
    await server.sql('create table added (id int)');
    before = await fingerprintMysql(server);
  });

  afterAll(async () => {
    await stack.disposeAsync();
  });

  /** Something else takes the disk of the server, but for so much. */
  async function fillDisk(leftBytes: number): Promise<AsyncDisposable> {
    const { stdout } = await server.exec(['df', '-B1', '--output=avail', DATA]);
    const size = Number(stdout.split('\n')[1]) - leftBytes;
    const filled = await server.exec(['fallocate', '-l', `${size}`, `${DATA}/filler`], {
      user: 'root',
    });
    expect(filled.exitCode, filled.stderr).toBe(0);
    return {
      async [Symbol.asyncDispose]() {
        await server.exec(['rm', '-f', `${DATA}/filler`], { user: 'root' });
      },
    };
  }

  /** The server can be written to, nothing was changed, and nothing is left. */
  async function expectUntouched(): Promise<void> {
    await server.sql('insert into added values (1); delete from added');
    expect(await fingerprintMysql(server)).toEqual(before);
    expect(await server.sql(`show databases like '\\_backupd%'`)).toBe('');
    expect(await server.logs()).not.toMatch(/No space left|disk is full|[Ee]rrno: ?28/);
  }

  test('that has too little space to begin refuses a restore with 40', async () => {
    await using _filled = await fillDisk(40 * MB);
    const result = await box.backupd(['restore', 'db', '--json']);
    expect(result, result.stderr).toMatchObject({ exitCode: 40, stdout: '' });
    await expectUntouched();
  });

  test('that a backup fills which needs more than was recorded: ended before it is full, with 22', async () => {
    const [found] = await box.json<readonly { readonly id: string }[]>(['list', 'db']);
    const path = join(box.dir, 'db', found?.id ?? '', 'manifest.json');
    const text = await readFile(path, 'utf8');
    const manifest = JSON.parse(text) as {
      facts: { databases: { shop: { sizeBytes: number } } };
    };
    manifest.facts.databases.shop.sizeBytes = 1;
    await writeFile(path, JSON.stringify(manifest));
    {
      await using _filled = await fillDisk(60 * MB);
      const result = await box.backupd(['restore', 'db', '--json']);
      expect(result, result.stderr).toMatchObject({ exitCode: 22, stdout: '' });
      expect(JSON.parse(result.stderr)).toMatchObject({
        error: { code: 'restore-failed', message: expect.stringContaining('MB left') as unknown },
      });
      await expectUntouched();
    }
    await writeFile(path, text);
  });

  test('that has the space again lets the restore work', async () => {
    await box.json(['restore', 'db']);
    expect(await server.sql(`show tables like 'added'`)).toBe('');
    await box.json(['restore', 'db', '--undo']);
    expect(await fingerprintMysql(server)).toEqual(before);
  });
});
