import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCommandBox, type CommandBox } from '../support/command-box.ts';
import { listDatabases } from '../support/mysql-fingerprint.ts';
import { startMysql, waitUntilReady, type Mysql } from '../support/mysql.ts';
import { docker } from '../support/run-process.ts';
import { waitFor } from '../support/wait-for.ts';

/** So many that their move takes a while. */
const TABLES = 300;

function createTables(generation: string): string {
  return Array.from(
    { length: TABLES },
    (_, n) => `create table t${n} (g varchar(10)); insert into t${n} values ('${generation}');`,
  ).join('\n');
}

describe.each(['mysql:9.7', 'mariadb:11.8'])('%s that dies in the midst of a swap', (image) => {
  let server: Mysql;
  let box: CommandBox;
  const stack = new AsyncDisposableStack();

  beforeAll(async () => {
    server = stack.use(await startMysql({ image, args: [] }));
    await server.sql(createTables('old'));
    const engine = image.split(':')[0] ?? '';
    box = stack.use(await openCommandBox({ BACKUPD_SOURCES: `db=${engine}://${server.name}` }));
    await box.json(['backup', 'db']);
    await server.sql(
      Array.from({ length: TABLES }, (_, n) => `update t${n} set g = 'new';`).join('\n'),
    );
  });

  afterAll(async () => {
    await stack.disposeAsync();
  });

  /** Of all tables of a database together. */
  async function generations(database: string): Promise<string> {
    const all = Array.from({ length: TABLES }, (_, n) => `select g from t${n}`).join(' union all ');
    return server.sql(`select g, count(*) from (${all}) a group by g`, database);
  }

  test('has wholly the old or the new state when it is back, and the next command clears up', async () => {
    const restoring = box.backupd(['restore', 'db', '--yes']);
    await waitFor(
      'the move of the tables',
      async () =>
        (await server.sql(
          `select count(*) from information_schema.processlist where info like 'rename table%'`,
          'mysql',
        )) !== '0',
      120_000,
    );
    await docker('kill', server.name);
    const { exitCode, stderr } = await restoring;
    expect(exitCode, stderr).toBe(22);
    await docker('start', server.name);
    await waitUntilReady(server, server.client);

    const after = await box.backupd(['backup', 'db', '--json']);
    expect(after.exitCode, after.stderr).toBe(0);
    const state = await generations('shop');
    expect([`new\t${TABLES}`, `old\t${TABLES}`]).toContain(state);
    const kept = (await listDatabases(server)).filter((name) => name.includes('_before_'));
    if (state.startsWith('old')) {
      expect(await generations(kept[0] ?? '')).toBe(`new\t${TABLES}`);
    }
    expect(kept).toHaveLength(state.startsWith('old') ? 1 : 0);
    expect(await server.sql(`show databases like '\\_backupd%'`)).toBe('');
    expect(await server.sql(`show tables like '\\_backupd%'`)).toBe('');
    // And it works.
    await box.json(['restore', 'db']);
    expect(await generations('shop')).toMatch(/^(?:old|new)\t300$/);
  });
});
