import { join } from 'node:path';
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HALF_BYTES } from '../support/fault-stage.ts';
import { startKeyTools, untilNothingOfGpg } from '../support/keys.ts';
import { containing, having, matching } from '../support/matchers.ts';
import { openRestoreStage, type RestoreStage } from '../support/restore-stage.ts';
import type { ProcessResult } from '../support/run-process.ts';
import { runContainer, type ContainerOptions } from '../support/test-container.ts';
import { toolFault, type ToolFault } from '../support/tool-fault.ts';

const started = new AsyncDisposableStack();
let stage: RestoreStage;
let tool: ToolFault;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  tool = started.use(await toolFault());
  stage = started.use(
    await openRestoreStage({
      volumes: tool.volumes,
      databases: ['shop'],
      sql: `create table orders as select n, md5(n::text) as what from generate_series(1, 60000) as n`,
    }),
  );
  const tools = started.use(await startKeyTools(stage.dir));
  const { publicKey } = await tools.makeGpgKey('key');
  env = { BACKUPD_GPG_RECIPIENT_KEYS: publicKey };
});
afterAll(async () => {
  await started.disposeAsync();
});

/** Kills every process of that name in the container of backupd; how many there were. */
async function killAll(name: string): Promise<number> {
  const script = `
    for dir in /proc/[0-9]*; do
      [ "$(cat $dir/comm)" = ${name} ] && kill -9 "\${dir#/proc/}" && echo killed
    done 2>/dev/null
    true`;
  const { stdout } = await stage.box.exec(['sh', '-c', script], { user: 'root' });
  return stdout.split('\n').length - 1;
}

test('a backup whose gpg is killed fails, and leaves nothing', async () => {
  await tool.set(`stall ${HALF_BYTES}`);
  const running = stage.backupd(['backup', 'db', '--json'], { env });
  await tool.reached();
  expect(await killAll('gpg')).toBeGreaterThan(0);
  await tool.clear();
  await tool.release();
  const { exitCode, stdout } = await running;
  expect(exitCode).toBe(21);
  expect(JSON.parse(stdout)).toEqual({
    runs: [
      having({
        outcome: 'failed',
        id: null,
        error: having({
          code: 'dump-failed',
          message: matching(/^gpg could not encrypt: it was killed/),
        }),
      }),
    ],
  });
  expect(await readdir(join(stage.dir, 'db'))).toEqual([]);
  await untilNothingOfGpg(stage);
  expect(await stage.leftovers()).toEqual([]);
});

/** A backup in a container of its own that lacks something. */
async function backUpWithout(lack: Partial<ContainerOptions>): Promise<ProcessResult> {
  const { options } = stage;
  return runContainer({
    ...options,
    ...lack,
    env: { ...options.env, ...env },
    volumes: [...(options.volumes ?? []), ...(lack.volumes ?? [])],
    more: [...(options.more ?? []), ...(lack.more ?? [])],
    args: ['backup', 'db', '--json'],
  });
}

test.each<[string, Partial<ContainerOptions>, number, object]>([
  [
    'a gpg',
    { volumes: ['/dev/null:/usr/bin/gpg:ro'] },
    3,
    { code: 'config-invalid', message: containing('it could not be started') },
  ],
  [
    'a place for its keys',
    { readOnly: true, more: ['--tmpfs', '/dev/shm:ro,size=64k'] },
    41,
    { code: 'storage-unavailable', message: containing('there is no place for the keys of gpg') },
  ],
])('without %s no backup begins', async (_, lack, code, error) => {
  const { exitCode, stdout } = await backUpWithout(lack);
  expect(exitCode, stdout).toBe(code);
  expect(JSON.parse(stdout)).toEqual({
    runs: [having({ outcome: 'failed', id: null, error: having({ ...error }) })],
  });
  expect(await stage.leftovers()).toEqual([]);
});

test('with a read-only root it works in memory', async () => {
  const { exitCode, stdout } = await backUpWithout({ readOnly: true });
  expect(exitCode, stdout).toBe(0);
});
