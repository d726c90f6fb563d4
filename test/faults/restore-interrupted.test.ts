import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DatabaseFingerprint } from '../support/fingerprint.ts';
import { holdName, untilSwapWaits } from '../support/hold.ts';
import { startPostgres, waitUntilReady } from '../support/postgres.ts';
import { killIn, PROGRAM } from '../support/processes.ts';
import {
  LOADING_SLOW,
  openRestoreStage,
  SAMPLE_SQL,
  setLinger,
  SLOW_SQL,
  untilClear,
  untilLoading,
  type RestoreStage,
} from '../support/restore-stage.ts';
import { docker, type ProcessResult } from '../support/run-process.ts';
import { startContainer } from '../support/test-container.ts';
import { waitFor } from '../support/wait-for.ts';
import { startWriter } from '../support/writer.ts';

let stage: RestoreStage;
let id: string;
/** What `shop` holds since the backup, which no failed restore may change. */
let before: DatabaseFingerprint;

const RESTORE = ['restore', 'db', '--wait', '1m'];

beforeAll(async () => {
  stage = await openRestoreStage({
    sql: `${SAMPLE_SQL}\n${SLOW_SQL}`,
    databases: ['crm', 'shop', 'slow'],
  });
  const backup = await stage.json<{ runs: { id: string }[] }>(['backup', 'db', '--pin']);
  id = backup.runs[0]?.id ?? '';
  // Sequences are logged ahead of their use: only with a checkpoint does a crash leave them as they are.
  await stage.server.sql(
    `create table added (id int); update orders set who = 'changed'; checkpoint`,
  );
  before = await stage.content('shop');
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await setLinger(stage.server, 'off');
});

/** Begins a restore and resolves when it is in the midst of its load, where it stays. */
async function beginLoad(): Promise<{ readonly ended: Promise<ProcessResult> }> {
  await setLinger(stage.server, 'on');
  const ended = stage.backupd([...RESTORE, '--json', '--at', id]);
  await untilLoading(stage.server);
  return { ended };
}

/** Everything is as it was. */
async function expectUntouched(): Promise<void> {
  expect(await stage.content('shop')).toEqual(before);
  expect(await keptNames()).toBe('');
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

/** How the last restore ended, as `status` tells those who come later. */
async function lastRestore(): Promise<unknown> {
  const { stdout } = await stage.backupd(['status', '--json']);
  const { sources } = JSON.parse(stdout) as {
    readonly sources: readonly { lastRestore: unknown }[];
  };
  return sources[0]?.lastRestore;
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
  await stage.json(['backup', 'db']);
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

test('a daemon that runs all the while clears up what a command had to leave', async () => {
  await using daemon = await startContainer(stage.options);
  await waitFor('daemon', async () => (await daemon.logs()).includes('"source found"'));
  const { ended } = await beginLoad();
  await docker('stop', '--time', '1', stage.server.name);
  const failed = await ended;
  expectFailed(failed, new RegExp(stage.server.name));
  expect(failed.stderr).toContain('could not be removed yet');
  await startServer();
  await untilClear(stage);
  expect(await daemon.logs()).toContain('"recovered from an interruption"');
  await expectUntouched();
});

test('the server crashed in the midst of the load and came back by itself', async () => {
  const { ended } = await beginLoad();
  await killBackend(LOADING_SLOW);
  expectFailed(await ended, /pg_restore/);
  expect(await lastRestore()).toMatchObject({ outcome: 'failed', code: 'restore-failed' });
  await waitUntilReady(stage.server);
  await expectClearedByCommand();
});

test('backupd killed, and the database that it had loaded left half-dropped', async () => {
  const died = await stage.backupd([...RESTORE, '--at', id], { killAt: 'beside-built' });
  expect(died, died.stderr).toMatchObject({ exitCode: 137 });
  // What a server leaves that is killed while it drops a database.
  await stage.server.sql(
    `update pg_database set datconnlimit = -2 where datname like 'backupd\\_%'`,
    'postgres',
  );
  await expectClearedByCommand();
});

test('the server crashed in the midst of the swap', async () => {
  await using _hold = await holdName(stage.server, 'shop');
  const ended = stage.backupd([...RESTORE, '--json', '--at', id]);
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
  await killIn(stage.box.name, `node *${PROGRAM} restore db`, 'INT');
  const result = await ended;
  expect(result, result.stderr).toMatchObject({ exitCode: 130, stdout: '' });
  expect(JSON.parse(result.stderr)).toMatchObject({ error: { code: 'cancelled' } });
  expect(await stage.leftovers()).toEqual([]);
  await expectUntouched();
});

test('a hang-up in the midst of the load: the restore goes on', async () => {
  const { ended } = await beginLoad();
  await killIn(stage.box.name, `node *${PROGRAM} restore db`, 'HUP');
  await setLinger(stage.server, 'off');
  expect(await ended).toMatchObject({ exitCode: 0 });
  expect(await stage.leftovers()).toEqual([]);
  expect(await stage.server.sql(`select to_regclass('added') is null`)).toBe('t');
  await stage.json(['restore', 'db', '--undo']);
  expect(await stage.content('shop')).toEqual(before);
});

test('the target removed in the midst of the load: a new one in its place gets all of it', async () => {
  const { ended } = await beginLoad();
  await docker('rm', '--force', '--volumes', stage.server.name);
  expectFailed(await ended, new RegExp(stage.server.name));
  await using server = await startPostgres({ name: stage.server.name });
  const restored = await stage.json<{ databases: unknown[] }>([...RESTORE, '--at', id]);
  expect(restored.databases).toMatchObject([
    { name: 'crm', previous: null },
    { name: 'shop', previous: expect.stringContaining('_before_') as unknown },
    { name: 'slow', previous: null },
  ]);
  expect(await stage.leftovers()).toEqual([]);
  expect(await server.sql('select count(*) from orders')).toBe('2000');
});
