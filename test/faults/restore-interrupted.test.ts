import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DatabaseFingerprint } from '../support/fingerprint.ts';
import { waitUntilReady } from '../support/postgres.ts';
import { killIn, untilRuns } from '../support/processes.ts';
import {
  holdName,
  openRestoreStage,
  SAMPLE_SQL,
  setLinger,
  SLOW_SQL,
  startWriter,
  untilClear,
  untilLoading,
  untilSwapWaits,
  type RestoreStage,
} from '../support/restore-stage.ts';
import { docker, runProcess, type ProcessResult } from '../support/run-process.ts';
import { startContainer } from '../support/test-container.ts';
import { waitFor } from '../support/wait-for.ts';

let stage: RestoreStage;
let id: string;
/** What `shop` holds since the backup, which no failed restore may change. */
let before: DatabaseFingerprint;

const RESTORE = ['restore', 'db', '--json'];
const PROGRAM = 'node /opt/backupd/src/main.ts restore db';

beforeAll(async () => {
  stage = await openRestoreStage({
    sql: `${SAMPLE_SQL}\n${SLOW_SQL}`,
    databases: ['crm', 'shop', 'slow'],
  });
  const backup = await stage.json<{ runs: { id: string }[] }>(['backup', 'db', '--pin']);
  id = backup.runs[0]?.id ?? '';
  await stage.server.sql(`create table added (id int); update orders set who = 'changed'`);
  before = await stage.content('shop');
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await setLinger(stage.server, 0);
});

/** Begins a restore that will be in the midst of its load for a minute; resolves when it is. */
async function beginLoad(): Promise<{ readonly ended: Promise<ProcessResult> }> {
  await setLinger(stage.server, 60);
  const ended = stage.backupd([...RESTORE, '--at', id]);
  await untilLoading(stage.server);
  return { ended };
}

/** Everything is as it was, and a restore and its undo work. */
async function expectUntouched(): Promise<void> {
  const { server } = stage;
  await untilClear(stage);
  expect(await stage.content('shop')).toEqual(before);
  expect(await keptNames()).toBe('');
  await setLinger(server, 0);
  await stage.json([...RESTORE, '--at', id]);
  expect(await server.sql(`select to_regclass('added') is null`)).toBe('t');
  await stage.json(['restore', 'db', '--undo']);
  expect(await stage.content('shop')).toEqual(before);
  await stage.json(['restore', 'db', '--drop-previous', '--yes']);
}

async function keptNames(): Promise<string> {
  return stage.server.sql(
    `select datname from pg_database where datname like '%\\_before\\_%'`,
    'postgres',
  );
}

async function startServer(): Promise<void> {
  await docker('start', stage.server.name);
  await waitUntilReady(stage.server);
}

function expectFailed(result: ProcessResult, message: RegExp): void {
  expect(result, result.stderr).toMatchObject({ exitCode: 22, stdout: '' });
  expect(JSON.parse(result.stderr)).toMatchObject({
    error: { code: 'restore-failed', message: expect.stringMatching(message) as unknown },
  });
}

test('the server killed in the midst of the load, and started again', async () => {
  await using writer = await startWriter(stage.server);
  const { ended } = await beginLoad();
  await docker('kill', stage.server.name);
  await startServer();
  expectFailed(await ended, /./);
  expect(await writer.lost()).toEqual([]);
  await expectClearedByCommand();
});

/** Where the server was not back in time it is the next start of anything that clears up. */
async function expectClearedByCommand(): Promise<void> {
  const { exitCode, stdout } = await stage.backupd(['backup', 'db', '--json']);
  expect(exitCode, stdout).toBe(0);
  expect(await stage.leftovers()).toEqual([]);
  await expectUntouched();
}

test('the target stopped in the midst of the load: the daemon clears up when it is back', async () => {
  const { ended } = await beginLoad();
  await docker('stop', '--time', '1', stage.server.name);
  const failed = await ended;
  expectFailed(failed, new RegExp(stage.server.name));
  expect(failed.stderr).toContain('could not be removed yet');
  await startServer();
  expect(await stage.leftovers()).not.toEqual([]);
  await using _daemon = await startContainer(stage.options);
  await untilClear(stage);
  await expectUntouched();
});

test('the server crashed in the midst of the load and came back by itself', async () => {
  const { ended } = await beginLoad();
  await killBackend(`datname like 'backupd\\_%' and wait_event = 'PgSleep'`);
  expectFailed(await ended, /pg_restore/);
  await waitUntilReady(stage.server);
  await expectClearedByCommand();
});

test('the server crashed in the midst of the swap', async () => {
  await using _hold = await holdName(stage.server, 'shop');
  const ended = stage.backupd([...RESTORE, '--at', id]);
  await untilSwapWaits(stage.server);
  await killBackend(`application_name like 'backupd:%:swap'`);
  expectFailed(await ended, /./);
  expect(await stage.server.logs()).toContain('all server processes terminated; reinitializing');
  await waitUntilReady(stage.server);
  await expectClearedByCommand();
});

/** As the system does when it has no memory left: the server ends all sessions and recovers. */
async function killBackend(which: string): Promise<void> {
  const pid = await stage.server.sql(`select pid from pg_stat_activity where ${which}`, 'postgres');
  await stage.server.exec(['sh', '-c', 'kill -9 "$0"', pid], { user: 'root' });
}

test('SIGINT in the midst of the load: 130, and all that was made is removed', async () => {
  const { ended } = await beginLoad();
  await killIn(stage.box.name, PROGRAM, 'INT');
  const result = await ended;
  expect(result, result.stderr).toMatchObject({ exitCode: 130, stdout: '' });
  expect(JSON.parse(result.stderr)).toMatchObject({ error: { code: 'cancelled' } });
  expect(await stage.leftovers()).toEqual([]);
  await expectUntouched();
});

test('a hang-up in the midst of the load: the restore goes on', async () => {
  const { ended } = await beginShortLoad([...RESTORE, '--at', id]);
  await killIn(stage.box.name, PROGRAM, 'HUP');
  expect(await ended).toMatchObject({ exitCode: 0 });
  await expectRestored();
});

test('the terminal gone in the midst of the load: the restore goes on', async () => {
  const terminal = new AbortController();
  const { ended } = await beginShortLoad(['restore', 'db', '--yes', '--at', id], terminal.signal);
  terminal.abort();
  await expect(ended).rejects.toThrow(/abort/i);
  await untilRuns(stage.box.name, PROGRAM);
  await waitFor('end of the restore', async () => (await keptNames()) !== '', 60_000);
  await waitFor('end of the process', async () => {
    const { stdout } = await runProcess(['docker', 'top', stage.box.name, '-eo', 'pid,args']);
    return !stdout.includes(PROGRAM);
  });
  const status = await stage.backupd(['status', '--json']);
  expect(JSON.parse(status.stdout)).toMatchObject({
    sources: [{ source: 'db', previous: [expect.anything()] }],
  });
  await expectRestored();
});

async function beginShortLoad(
  args: readonly string[],
  terminal?: AbortSignal,
): Promise<{ readonly ended: Promise<ProcessResult> }> {
  await setLinger(stage.server, 5);
  const ended = stage.backupd(args, terminal === undefined ? {} : { tty: true, signal: terminal });
  ended.catch(() => undefined);
  await untilLoading(stage.server);
  return { ended };
}

/** The restore came to its end, and its undo works. */
async function expectRestored(): Promise<void> {
  expect(await stage.leftovers()).toEqual([]);
  expect(await stage.server.sql(`select to_regclass('added') is null`)).toBe('t');
  await stage.json(['restore', 'db', '--undo']);
  expect(await stage.content('shop')).toEqual(before);
  await stage.json(['restore', 'db', '--drop-previous', '--yes']);
}
