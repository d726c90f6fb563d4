import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startComposeStack, type ComposeStack } from '../../support/compose-stack.ts';
import { HALF_BYTES } from '../../support/fault-stage.ts';
import { commandsIn } from '../../support/processes.ts';
import { setLinger, SLOW_SQL, untilLoading } from '../../support/restore-stage.ts';
import { docker, type ProcessResult } from '../../support/run-process.ts';
import { formsOf, linesWith } from '../../support/secret-forms.ts';
import { temporaryFolder } from '../../support/storage.ts';
import { toolFault, type ToolFault } from '../../support/tool-fault.ts';
import { waitFor } from '../../support/wait-for.ts';

/** Three that nothing else in the world has: of the superuser, of a role of its own, and one that is wrong. */
const [OWN, OTHER, WRONG] = ['own', 'other', 'wrong'].map(
  (what) => `secret-${what}-${randomBytes(8).toString('hex')}`,
) as [string, string, string];

const started = new AsyncDisposableStack();
let stack: ComposeStack;
let tool: ToolFault;
/** What Docker tells everybody, as it happens: it remembers no more than its last 256 events. */
let events = '';
/** Everything that commands said, and every command line seen in the target. */
const said: string[] = [];

/** As its labels would say it. */
const LABELLED = {
  BACKUPD_SOURCE_DB_USER: 'saver',
  BACKUPD_SOURCE_DB_PASSWORD_FILE: '/run/own/saver',
};

beforeAll(async () => {
  followEvents();
  const { dir } = started.use(await temporaryFolder());
  await writeFile(join(dir, 'superuser'), `${OWN}\n`);
  await writeFile(join(dir, 'saver'), `${OTHER}\n`);
  tool = started.use(await toolFault());
  stack = started.use(
    await startComposeStack({
      serverEnv: { POSTGRES_PASSWORD: OWN },
      services: {
        db: {
          environment: {
            POSTGRES_PASSWORD: null,
            POSTGRES_PASSWORD_FILE: '/run/own/superuser',
            POSTGRES_INITDB_ARGS: '--auth-local=scram-sha-256 --auth-host=scram-sha-256',
          },
          volumes: [`${dir}:/run/own:ro`, ...tool.volumes],
        },
        backupd: { environment: { BACKUPD_LOG_LEVEL: 'trace' } },
      },
    }),
  );
  await stack.server.sql(
    `create table orders as select n, md5(n::text) as what from generate_series(1, 80000) as n;
     create role saver superuser login password '${OTHER}';
     create role clerk login password '${OTHER}';
     ${SLOW_SQL}`,
  );
});
afterAll(async () => {
  await started.disposeAsync();
});

function followEvents(): void {
  const child = spawn('docker', [
    'events',
    '--filter',
    'label=backupd-test',
    '--format',
    '{{.Action}}',
  ]);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    events += text;
  });
  started.defer(() => {
    child.kill();
  });
}

/** Runs a command and remembers what it said. */
async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ProcessResult> {
  const result = await stack.daemon.cli(args, { env });
  said.push(result.stdout, result.stderr);
  return result;
}

async function seeProcesses(beginning: string): Promise<void> {
  const commands = await commandsIn(stack.server.name);
  expect(commands.filter((command) => command.includes(beginning))).not.toEqual([]);
  said.push(...commands);
}

test('no password and no verifier of one is to be seen anywhere', async () => {
  await tool.set(`stall ${HALF_BYTES}`);
  const backup = run(['backup', 'db', '--wait', '1m']);
  await tool.reached();
  await seeProcesses('pg_dump');
  await tool.clear();
  await tool.release();
  expect((await backup).exitCode, said.join('\n')).toBe(0);
  expect((await run(['backup', 'db', '--json'], LABELLED)).exitCode, said.join('\n')).toBe(0);

  // A role that the restore brings back with its password.
  await stack.server.sql('drop role clerk');
  await setLinger(stack.server, 'on');
  const restore = run(['restore', 'db', '--database', 'slow']);
  await untilLoading(stack.server);
  await seeProcesses('pg_restore');
  await setLinger(stack.server, 'off');
  expect((await restore).exitCode, said.join('\n')).toBe(0);
  expect(
    await stack.server.sql(`select rolpassword ~ '^SCRAM' from pg_authid where rolname = 'clerk'`),
  ).toBe('t');

  await stack.server.sql(`alter role saver password '${WRONG}'`);
  for (const args of [['backup', 'db'], ['backup', 'db', '--json'], ['check']]) {
    const { exitCode, stdout, stderr } = await run(args, LABELLED);
    expect(exitCode).toBe(args[0] === 'check' ? 4 : 21);
    expect(stdout + stderr).toContain('password authentication failed');
  }
  const looks = ['config', 'status', 'check', 'list', 'runbook'].map((name) => [name]);
  for (const args of [...looks, ['prune', '--dry-run']]) {
    await run(args);
    await run([...args, '--json']);
  }
  for (const path of ['/', '/api/status', '/metrics']) {
    said.push(await (await stack.daemon.get(path)).text());
  }
  const list = await stack.daemon.cli(['list', 'db', '--json']);
  for (const { id } of JSON.parse(list.stdout) as { id: string }[]) {
    await run(['show', id]);
  }

  await waitFor('last of the events', () => events.includes('exec_create: backupd show'));
  expect(/exec_create: .*pg_dump/.test(events)).toBe(true);
  expect(/exec_create: .*pg_restore/.test(events)).toBe(true);
  const places = [
    ...said,
    events,
    await stack.daemon.logs(),
    await docker('inspect', stack.daemon.name),
  ];
  for (const secret of [OWN, OTHER, WRONG, 'SCRAM-SHA-256$']) {
    expect(linesWith(secret, places)).toEqual([]);
  }
  for (const secret of [OWN, OTHER, WRONG]) {
    const argv = ['grep', '-rlaF', '-f', '-', '/backups', '/tmp', '/root'];
    const found = await stack.daemon.exec(argv, { input: formsOf(secret).join('\n') });
    expect(found).toMatchObject({ exitCode: 1, stdout: '' });
  }
}, 400_000);
