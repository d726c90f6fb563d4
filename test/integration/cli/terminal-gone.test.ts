import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Daemon } from '../../support/backupd.ts';
import { terminalCommand } from '../../support/docker-exec.ts';
import { startStage, type FaultStage } from '../../support/fault-stage.ts';
import { doesRun, PROGRAM } from '../../support/processes.ts';
import { setLinger, SLOW_SQL, untilLoading } from '../../support/restore-stage.ts';
import { waitFor } from '../../support/wait-for.ts';

const COMMAND = `${PROGRAM} restore db`;

let stage: FaultStage;
let daemon: Daemon;

beforeAll(async () => {
  stage = await startStage();
  ({ daemon } = stage);
  await stage.server.sql(SLOW_SQL);
  const env = { BACKUPD_SOURCE_DB_DATABASES: 'slow' };
  const made = await daemon.cli(['backup', 'db', '--json', '--wait', '1m'], { env });
  expect(made.exitCode, made.stdout).toBe(0);
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** Of all names of databases those that a restore kept. */
async function kept(): Promise<readonly string[]> {
  const names = await stage.server.sql(
    `select datname from pg_database where datname like 'slow\\_before\\_%' order by datname`,
  );
  return names.split('\n').filter((name) => name !== '');
}

/** A restore whose terminal, or whose client alone, is killed while it loads. */
async function restoreAndLose(argv: readonly string[]): Promise<void> {
  const [program = '', ...args] = argv;
  await setLinger(stage.server, 'on');
  const client = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  client.stdout.resume();
  await untilLoading(stage.server);
  client.kill('SIGKILL');
  await once(client, 'close');
  // It is in the midst of its work, and nobody is there any more.
  expect(await doesRun(daemon.name, COMMAND)).toBe(true);
  await setLinger(stage.server, 'off');
  await waitFor('end of the restore', async () => !(await doesRun(daemon.name, COMMAND)), 60_000);
}

const RESTORE = ['backupd', 'restore', 'db', '--database', 'slow', '--yes'];

test.each([
  ['its terminal', () => terminalCommand(daemon.name, RESTORE)],
  ['its client', () => ['docker', 'exec', daemon.name, ...RESTORE]],
])('a restore that lost %s goes on to its end', async (_name, command) => {
  const before = await kept();
  await restoreAndLose(command());
  const after = await kept();
  expect(after).toHaveLength(before.length + 1);
  const { stdout } = await daemon.cli(['status', '--json']);
  const { sources } = JSON.parse(stdout) as { sources: { previous: readonly string[] }[] };
  expect(sources[0]?.previous.toSorted()).toEqual(after);
  expect(await stage.server.sql('select n from rows', 'slow')).toBe('1');
  const log = await daemon.logs();
  expect(log).toMatch(/"source":"db",.*"msg":"restore finished"/);
});
