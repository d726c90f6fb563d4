import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runBackupd, startDaemon, type BackupdOptions } from '../support/backupd.ts';
import { dockerRelay, type DockerRelay } from '../support/docker-relay.ts';
import {
  BACKUP,
  backupdOf,
  expectCleanTarget,
  expectFailedResult,
  expectGoodRun,
  HALF_BYTES,
  look,
  processesOfRuns,
  runBackup,
  startStage,
  type FaultStage,
} from '../support/fault-stage.ts';
import { docker } from '../support/run-process.ts';
import { testVolume, uniqueName } from '../support/test-container.ts';
import { waitFor } from '../support/wait-for.ts';

let stage: FaultStage;
let relay: DockerRelay;

beforeAll(async () => {
  [stage, relay] = await Promise.all([startStage(), dockerRelay()]);
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await relay[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await relay.pass();
  await stage.tool.clear();
});

/** One that reaches Docker through the relay alone. */
function throughRelay(
  volume: { readonly name: string },
  env: Readonly<Record<string, string>> = {},
): BackupdOptions {
  const options = backupdOf(stage, volume, { ...env, ...relay.env });
  return { ...options, socket: false, volumes: [...(options.volumes ?? []), ...relay.volumes] };
}

describe('Docker that does not do as it should', () => {
  it.each([
    ['POST /containers/{id}/exec', /^POST \S*\/containers\/\w+\/exec/],
    ['POST /exec/{id}/start', /^POST \S*\/exec\/\w+\/start/],
  ])('is named with the call that it forbids: %s', async (call, request) => {
    relay.forbid(request);
    const before = await look(stage);
    expectFailedResult(await runBackupd(BACKUP, throughRelay(stage.volume)), {
      exitCode: 20,
      code: 'target-unavailable',
      message: new RegExp(
        `^/relay/docker.sock forbids ${call.replaceAll(/[{}]/g, '.')} .HTTP 403.$`,
      ),
    });
    expect(await look(stage)).toEqual({
      ...before,
      failed: before.failed + 1,
      lastAttemptSuccess: 0,
    });
    await expectCleanTarget(stage);
    await expectGoodRun(stage);
  });

  it('is a failed dump where it cuts the stream within a frame', async () => {
    const before = await look(stage);
    await stage.tool.set(`stall ${HALF_BYTES}`);
    const running = runBackupd(BACKUP, throughRelay(stage.volume));
    await stage.tool.reached();
    relay.cutWithin();
    await stage.tool.release();
    expectFailedResult(await running, {
      exitCode: 21,
      code: 'dump-failed',
      message: /broke off|was cut|the session with PostgreSQL/,
    });
    expect(await look(stage)).toEqual({
      ...before,
      failed: before.failed + 1,
      lastAttemptSuccess: 0,
    });
    await stage.tool.clear();
    await expectCleanTarget(stage);
    await expectGoodRun(stage);
  });

  it('is outlived by the daemon where it goes during a dump and comes back', async () => {
    await using volume = await testVolume();
    await stage.tool.set(`stall ${HALF_BYTES}`);
    await using daemon = await startDaemon(
      throughRelay(volume, { BACKUPD_SCHEDULE: '*/5 * * * * *' }),
    );
    await stage.tool.reached();
    await relay.leave();
    await stage.tool.clear();
    await waitFor('failed runs', async () => (await look({ daemon })).failed >= 2, 60_000);
    expect((await daemon.get('/healthz')).status).toBe(200);
    expect((await daemon.get('/readyz')).status).toBe(503);
    expect(await look({ daemon })).toMatchObject({ succeeded: 0, backups: 0, folders: [] });
    const log = await daemon.logs();
    expect(log).toMatch(/"code":"dump-failed".*"backup failed"/);
    expect(log).toMatch(/"code":"target-unavailable".*"backup failed"/);
    expect(log).not.toContain('backup finished');

    await relay.pass();
    await waitFor('backup', async () => (await look({ daemon })).succeeded >= 1, 60_000);
    expect((await daemon.get('/readyz')).status).toBe(200);
    await daemon[Symbol.asyncDispose]();
    await expectCleanTarget(stage);
  });

  it('that is silent keeps nobody from ending: at a second SIGTERM at once', async () => {
    await stage.tool.set(`stall ${HALF_BYTES}`);
    const name = uniqueName('impatient');
    const running = runBackupd(BACKUP, { ...throughRelay(stage.volume), name });
    await stage.tool.reached();
    relay.silence();
    await docker('kill', '--signal', 'TERM', name);
    await docker('kill', '--signal', 'TERM', name);
    // Of the signal itself: the cleaning up that Docker holds up would end in 130.
    expect(await running).toMatchObject({ exitCode: 143, stdout: '' });
    await relay.pass();
    await stage.tool.clear();
    expect(await processesOfRuns(stage.server)).not.toEqual([]);
    const before = await look(stage);
    expect(before.folders.some((folder) => folder.endsWith('.partial'))).toBe(true);
    expect(await runBackup(stage)).toMatchObject({ exitCode: 0 });
    const after = await look(stage);
    expect(after.folders.filter((folder) => folder.endsWith('.partial'))).toEqual([]);
    expect(after.interrupted).toBe(before.interrupted + 1);
    await expectCleanTarget(stage);
  });

  it('that is silent is given up within the ten seconds of docker stop', async () => {
    await stage.tool.set(`stall ${HALF_BYTES}`);
    const name = uniqueName('silent');
    const running = runBackupd(BACKUP, { ...throughRelay(stage.volume), name });
    await stage.tool.reached();
    relay.silence();
    await docker('stop', '--time', '10', name);
    expect(await running).toMatchObject({ exitCode: 130 });
    await relay.pass();
    await stage.tool.clear();
    await expectGoodRun(stage);
    await expectCleanTarget(stage);
  });
});
