import { describe, expect, test } from 'vitest';
import { openCommandBox } from '../support/command-box.ts';
import { startMongodb } from '../support/mongodb.ts';
import { startMysql } from '../support/mysql.ts';
import { docker } from '../support/run-process.ts';
import type { TestContainer } from '../support/test-container.ts';
import { waitFor } from '../support/wait-for.ts';

interface Frozen {
  readonly image: string;
  readonly engine: string;
  /** The dump among its processes; that the tool is there is asked before. */
  readonly tool: RegExp;
  /** With so much data, or a lock, that a dump is not over in a moment. */
  readonly start: () => Promise<Held>;
}

interface Held extends TestContainer {
  /** Lets a dump come to its end. */
  readonly release: () => Promise<unknown>;
}

const ENGINES: readonly Frozen[] = [
  {
    image: 'mysql:9.7',
    engine: 'mysql',
    tool: /mysqldump.*--single-transaction/,
    start: async () => startLocked('mysql:9.7'),
  },
  {
    image: 'mariadb:11.8',
    engine: 'mariadb',
    tool: /mariadb-dump.*--single-transaction/,
    start: async () => startLocked('mariadb:11.8'),
  },
  { image: 'mongodb', engine: 'mongodb', tool: /mongodump.*--archive/, start: startLarge },
];

/** A session holds a table until it is ended. */
async function startLocked(image: string): Promise<Held> {
  const server = await startMysql({ image });
  await server.sql('create table orders (id int primary key); insert into orders values (1), (2)');
  const holder = `from information_schema.processlist where info like 'do sleep%'`;
  // It fails when it is ended, or with the server.
  server.sql('lock tables orders write; do sleep(600)').catch(() => null);
  await waitFor('lock', async () => (await server.sql(`select count(*) ${holder}`)) === '1');
  return {
    ...server,
    release: async () => server.sql(`kill ${await server.sql(`select id ${holder}`)}`),
  };
}

async function startLarge(): Promise<Held> {
  const server = await startMongodb();
  await server.js(`
    const text = 'x'.repeat(20000);
    for (let part = 0; part < 20; part += 1) {
      db.orders.insertMany(Array.from({ length: 250 }, (_, n) => ({ _id: part * 250 + n, text })));
    }`);
  return { ...server, release: () => Promise.resolve() };
}

async function runs(server: TestContainer, tool: RegExp): Promise<boolean> {
  return tool.test(await docker('top', server.name, '-eo', 'pid,args'));
}

describe('a server that is frozen during its dump', () => {
  test.each(ENGINES)(
    '$image is given up at the timeout, and cleared once it thaws',
    async (one) => {
      await using server = await one.start();
      await using box = await openCommandBox({
        BACKUPD_SOURCES: `db=${one.engine}://${server.name}/shop`,
      });
      const running = box.backupd(['backup', 'db', '--json'], { env: { BACKUPD_TIMEOUT: '12s' } });
      await waitFor('tool', async () => runs(server, one.tool));
      await docker('pause', server.name);
      const { exitCode, stdout } = await running;
      expect(exitCode, stdout).toBe(25);
      expect(JSON.parse(stdout)).toMatchObject({
        runs: [
          {
            outcome: 'failed',
            id: null,
            error: {
              code: 'timeout',
              message: expect.stringMatching(
                /^the backup of "db" did not end within 12 s/,
              ) as unknown,
            },
          },
        ],
      });
      expect(await box.json(['list', 'db'])).toEqual([]);
      await docker('unpause', server.name);
      await server.release();
      expect(await box.json(['backup', 'db'])).toMatchObject({ runs: [{ outcome: 'success' }] });
      expect(await runs(server, one.tool)).toBe(false);
    },
  );
});
