import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runBackupd, startDaemon, type Daemon } from '../support/backupd.ts';
import {
  actAtStep,
  BACKUP,
  backupdOf,
  expectCleanTarget,
  expectGoodRun,
  HALF_BYTES,
  look,
  processesOfRuns,
  runBackup,
  startStage,
  type FaultStage,
} from '../support/fault-stage.ts';
import { having } from '../support/matchers.ts';
import { docker } from '../support/run-process.ts';
import { testVolume } from '../support/test-container.ts';
import { waitFor } from '../support/wait-for.ts';

let stage: FaultStage;

beforeAll(async () => {
  stage = await startStage();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** Every step of a backup, and whether that is there when the process dies at it. */
const STEPS = [
  { step: 'backup-locked', isThere: false },
  { step: 'dump-opened', isThere: false },
  { step: 'archive-written', isThere: false },
  { step: 'archive-written:2', isThere: false },
  { step: 'dump-finished', isThere: false },
  { step: 'manifest-written', isThere: false },
  { step: 'backup-committed', isThere: true },
  { step: 'backup-ended', isThere: true },
  { step: 'attempt-recorded', isThere: true },
] as const;

/** What the next life has cleared up by. */
const RECOVERY_MS = 15_000;
const MARKER = '/backups/.killed-at';

function dyingAt(step: string): Readonly<Record<string, string>> {
  return actAtStep('kill-at', { KILL_AT: step, KILL_MARKER: MARKER });
}

async function expectHit(daemon: Daemon, step: string): Promise<void> {
  const { stdout } = await daemon.exec(['cat', MARKER]);
  expect(stdout).toBe(step.split(':')[0]);
}

describe('backupd that is killed', () => {
  it.each(STEPS)('at $step is followed by a good run of a command', async ({ step, isThere }) => {
    const before = await look(stage);
    const died = await runBackup(stage, dyingAt(step));
    expect(died).toMatchObject({ exitCode: 137, stdout: '' });
    await expectHit(stage.daemon, step);
    const next = await runBackup(stage);
    const { runs } = JSON.parse(next.stdout) as { runs: { id: string }[] };
    expect({ exitCode: next.exitCode, runs }).toEqual({
      exitCode: 0,
      runs: [having({ outcome: 'success', error: null })],
    });
    const after = await look(stage);
    const made = isThere ? 2 : 1;
    expect(after).toEqual({
      folders: [runs[0]?.id, ...after.folders.slice(1, made), ...before.folders],
      backups: before.backups + made,
      succeeded: before.succeeded + made,
      failed: before.failed,
      interrupted: before.interrupted + (isThere ? 0 : 1),
      lastAttemptSuccess: 1,
    });
    expect(after.folders.join()).not.toContain('.partial');
    await expectCleanTarget(stage);
  });

  // Four at a time, since most of it is waiting for a dead lock to be known as dead.
  it.each([{ steps: STEPS.slice(0, 4) }, { steps: STEPS.slice(4) }])(
    'is cleared up after by a daemon in another container, from $steps.0.step on',
    async ({ steps }) => {
      await using stack = new AsyncDisposableStack();
      const daemons = await Promise.all(
        steps.map(async ({ step, isThere }) => {
          const volume = stack.use(await testVolume());
          const died = await runBackupd(BACKUP, backupdOf(stage, volume, dyingAt(step)));
          expect(died).toMatchObject({ exitCode: 137, stdout: '' });
          const daemon = stack.use(await startDaemon(backupdOf(stage, volume)));
          await expectHit(daemon, step);
          await waitFor(
            `end of what was left at ${step}`,
            async () => {
              const { backups, interrupted, succeeded, folders } = await look({ daemon });
              return (
                interrupted + succeeded === 1 &&
                backups === Number(isThere) &&
                folders.length === backups
              );
            },
            RECOVERY_MS,
          );
          expect(await look({ daemon })).toMatchObject({ interrupted: isThere ? 0 : 1, failed: 0 });
          return daemon;
        }),
      );
      // Each daemon looks into the target for itself: at one moment nothing is there.
      await waitFor(
        'target without processes',
        async () => (await processesOfRuns(stage.server)).length === 0,
        RECOVERY_MS,
      );
      await Promise.all(daemons.map(async (daemon) => expectGoodRun({ daemon })));
      await expectCleanTarget(stage);
    },
  );

  it('in the midst of a dump is cleared up after, and made up for, when it is started again', async () => {
    await using volume = await testVolume();
    await stage.tool.set(`stall ${HALF_BYTES}`);
    // Begins by itself, for there is no backup yet.
    await using daemon = await startDaemon(
      backupdOf(stage, volume, { BACKUPD_SCHEDULE: '0 0 1 1 *' }),
    );
    await stage.tool.reached();
    await docker('kill', daemon.name);
    await stage.tool.clear();
    expect(await processesOfRuns(stage.server)).not.toEqual([]);
    await docker('start', daemon.name);
    await waitFor(
      'record of the run that died',
      async () => (await look({ daemon })).interrupted === 1,
      RECOVERY_MS,
    );
    await waitFor('backup in its place', async () => (await look({ daemon })).succeeded === 1);
    await expectCleanTarget(stage);
    const { folders, backups } = await look({ daemon });
    expect({ folders: folders.length, backups }).toEqual({ folders: 1, backups: 1 });
    expect(await daemon.logs()).toContain('"backup finished"');
  });
});
