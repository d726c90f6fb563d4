import { bech32 } from '@scure/base';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HALF_BYTES } from '../support/fault-stage.ts';
import { newAgeKey } from '../support/keys.ts';
import { containing, having } from '../support/matchers.ts';
import { openRestoreStage, untilClear, type RestoreStage } from '../support/restore-stage.ts';
import { runProcess } from '../support/run-process.ts';
import { toolFault, type ToolFault } from '../support/tool-fault.ts';

/** In a row of a table, and the name of a role. */
const WORD = 'quicksilver';
const { identity, recipient } = await newAgeKey();
const ENCRYPTED = { BACKUPD_AGE_RECIPIENTS: recipient };

const started = new AsyncDisposableStack();
let stage: RestoreStage;
let tool: ToolFault;

beforeAll(async () => {
  tool = started.use(await toolFault());
  stage = started.use(
    await openRestoreStage({
      volumes: tool.volumes,
      databases: ['shop'],
      sql: `
        create role ${WORD};
        create table orders as select n, '${WORD} ' || md5(n::text) as what from generate_series(1, 60000) as n;`,
      // What is compressed could not be read either.
      settings: { BACKUPD_COMPRESSION: 'none', BACKUPD_SOURCE_DB_BEFORE: 'touch /tmp/before' },
    }),
  );
});
afterAll(async () => {
  await started.disposeAsync();
});

/** Files anywhere in the directory that show the word. */
async function revealing(): Promise<readonly string[]> {
  const { stdout } = await runProcess(['grep', '-rlaF', WORD, stage.dir]);
  return stdout.split('\n').filter((line) => line !== '');
}

async function draftFiles(): Promise<readonly string[]> {
  const names = await readdir(join(stage.dir, 'db'), { recursive: true });
  return names
    .filter((name) => /\.partial\/./.test(name))
    .map((name) => join(stage.dir, 'db', name));
}

/** Looks while a dump stands still in its midst. */
async function whileDumping(
  env: Readonly<Record<string, string>>,
  look: () => Promise<void>,
): Promise<void> {
  await tool.set(`stall ${HALF_BYTES}`);
  const running = stage.backupd(['backup', 'db', '--json'], { env });
  try {
    await tool.reached();
    await expect
      .poll(async () => {
        const sizes = await Promise.all((await draftFiles()).map(async (path) => stat(path)));
        return sizes.reduce((sum, { size }) => sum + size, 0);
      })
      .toBeGreaterThan(HALF_BYTES / 2);
    await look();
  } finally {
    await tool.clear();
    await tool.release();
  }
  const { exitCode, stdout } = await running;
  expect(exitCode, stdout).toBe(0);
}

test('without a key the bytes of a dump can be seen: the test sees them', async () => {
  await whileDumping({}, async () => {
    expect(await revealing()).toEqual(expect.arrayContaining([containing('/shop.dump')]));
  });
  expect(await revealing()).toEqual(expect.arrayContaining([containing('/globals.sql')]));
  await runProcess(['rm', '-rf', join(stage.dir, 'db')]);
});

test('with one nothing of it is on the disk, neither while it runs nor after it', async () => {
  await whileDumping(ENCRYPTED, async () => {
    const files = await draftFiles();
    expect(files.map((path) => path.split('/').at(-1))).toEqual([
      'globals.sql.age',
      'shop.dump.age',
    ]);
    for (const path of files) {
      expect(await readFile(path, 'latin1')).toMatch(/^age-encryption\.org\/v1\n/);
    }
    expect(await revealing()).toEqual([]);
  });
  expect(await revealing()).toEqual([]);
});

test.each(['archive-written:1', 'archive-written:2', 'manifest-written'])(
  'a process that is killed at %s leaves nothing of it',
  async (killAt) => {
    const { exitCode } = await stage.backupd(['backup', 'db', '--json'], {
      env: ENCRYPTED,
      killAt,
    });
    expect(exitCode).toBe(137);
    expect(await draftFiles()).not.toEqual([]);
    expect(await revealing()).toEqual([]);
    // The next one clears up.
    expect(
      (await stage.backupd(['backup', 'db', '--wait', '1m'], { env: ENCRYPTED })).exitCode,
    ).toBe(0);
    await untilClear(stage);
  },
);

test('a key that cannot be used ends the run before anything is run or written', async () => {
  await stage.server.exec(['rm', '-f', '/tmp/before']);
  const before = await stage.json(['list', 'db']);
  // Every secret that is shared with it is zero.
  const useless = bech32.encodeFromBytes('age', new Uint8Array(32));
  const { exitCode, stdout } = await stage.backupd(['backup', 'db', '--json'], {
    env: { BACKUPD_AGE_RECIPIENTS: `${recipient} ${useless}` },
  });
  expect(exitCode).toBe(3);
  expect(JSON.parse(stdout)).toEqual({
    runs: [
      having({
        outcome: 'failed',
        error: having({ code: 'config-invalid', message: containing(useless) }),
      }),
    ],
  });
  expect((await stage.server.exec(['test', '-e', '/tmp/before'])).exitCode).toBe(1);
  expect(await stage.json(['list', 'db'])).toEqual(before);
  expect(await draftFiles()).toEqual([]);
});

test('the recipients that are lost by mistake do not turn it off', async () => {
  const { exitCode, stderr } = await stage.backupd(['backup', 'db'], {
    env: { BACKUPD_AGE_RECIPIENTS: '' },
  });
  expect([exitCode, stderr]).toEqual([3, containing('BACKUPD_AGE_RECIPIENTS')]);
  expect(await revealing()).toEqual([]);
});

test('what was made can be read', async () => {
  const env = { BACKUPD_AGE_IDENTITY: identity };
  const { stdout } = await stage.backupd(['verify', 'db', '--json'], { env });
  const verified = JSON.parse(stdout) as readonly object[];
  expect(verified).toEqual(verified.map(() => having({ ok: true, depth: 'content' })));
});
