import { expect, test } from 'vitest';
import { runBackupd, startDaemon } from '../support/backupd.ts';
import {
  BACKUP,
  backupdOf,
  expectCleanTarget,
  expectGoodRun,
  HALF_BYTES,
  look,
  startStage,
} from '../support/fault-stage.ts';
import { having } from '../support/matchers.ts';
import { docker } from '../support/run-process.ts';
import { runContainer, testVolume, uniqueName } from '../support/test-container.ts';
import { waitFor } from '../support/wait-for.ts';

/** `docker stop` sends SIGKILL after ten seconds: who exits with a code of its own was done before. */
async function stop(container: string): Promise<void> {
  await docker('stop', '--time', '10', container);
}

test('a command that is told to stop during a dump clears up and says so', async () => {
  await using stage = await startStage();
  const before = await look(stage);
  await stage.tool.set(`stall ${HALF_BYTES}`);
  const name = uniqueName('stopped');
  const running = runBackupd(BACKUP, {
    ...backupdOf(stage, stage.volume),
    name,
  });
  await stage.tool.reached();
  await stop(name);
  const { exitCode, stdout } = await running;
  expect({ exitCode, ...(JSON.parse(stdout) as object) }).toEqual({
    exitCode: 130,
    runs: [having({ outcome: 'failed', id: null, error: having({ code: 'cancelled' }) })],
  });
  expect(await look(stage)).toEqual({ ...before, interrupted: before.interrupted + 1 });
  await expectCleanTarget(stage);
  await stage.tool.clear();
  await expectGoodRun(stage);
});

test('a daemon that is told to stop during a dump clears up, and makes up for it in its next life', async () => {
  await using stage = await startStage();
  await using volume = await testVolume();
  await stage.tool.set(`stall ${HALF_BYTES}`);
  const options = backupdOf(stage, volume, { BACKUPD_SCHEDULE: '0 0 1 1 *' });
  await using daemon = await startDaemon(options);
  await stage.tool.reached();
  await stop(daemon.name);
  expect(await docker('inspect', '--format', '{{.State.ExitCode}}', daemon.name)).toBe('0');
  expect(await daemon.logs()).toContain('"backup cancelled"');
  await expectCleanTarget(stage);
  const { stdout } = await runContainer({
    image: 'debian:trixie-slim',
    volumes: [`${volume.name}:/backups`],
    args: ['ls', '-A', '/backups/db'],
  });
  expect(stdout).toBe('');
  await stage.tool.clear();
  await docker('start', daemon.name);
  await waitFor('backup in its place', async () => (await look({ daemon })).succeeded === 1);
  expect(await look({ daemon })).toMatchObject({ interrupted: 1, failed: 0, backups: 1 });
});
