import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  actAtStep,
  endureFault,
  expectFailedResult,
  expectGoodRun,
  look,
  runBackup,
  startStage,
  type FaultStage,
} from '../support/fault-stage.ts';
import { having } from '../support/matchers.ts';
import { smallVolume, type TestVolume } from '../support/test-container.ts';

/** A backup wants 32 MB free beside the size of the last one, which is less than 2 MB here. */
const DISK_BYTES = 64 * 1024 * 1024;

let volume: TestVolume;
let stage: FaultStage;

beforeAll(async () => {
  volume = await smallVolume(DISK_BYTES);
  stage = await startStage({ volume });
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await volume[Symbol.asyncDispose]();
});

/** Gives the room back, and sees that it had been taken. */
async function removeFiller(): Promise<void> {
  const { exitCode } = await stage.daemon.exec(['rm', '/backups/.filler']);
  expect(exitCode).toBe(0);
}

describe('a disk that is full', () => {
  it('before the backup begins is told by what is missing', async () => {
    await stage.daemon.exec(['dd', 'if=/dev/zero', 'of=/backups/.filler', 'bs=1M', 'count=40']);
    await endureFault(stage, {
      repair: removeFiller,
      exitCode: 40,
      code: 'no-space',
      message: /^\/backups has \d+ MB free, a backup of "db" needs about \d+ MB$/,
    });
  });

  it.each([
    // What is left takes the globals, and the first half of the archive.
    { where: 'in the archive', FILL_AT: 'dump-opened', FILL_LEAVE: '500000' },
    { where: 'at the manifest', FILL_AT: 'dump-finished', FILL_LEAVE: '0' },
  ])('$where leaves neither a backup nor a part of one', async ({ FILL_AT, FILL_LEAVE }) => {
    await endureFault(stage, {
      env: actAtStep('fill-at', { FILL_AT, FILL_LEAVE }),
      repair: removeFiller,
      exitCode: 40,
      code: 'no-space',
      message: /^no space left /,
    });
  });

  it('once the backup is there keeps it, and records it in the room that was kept for that', async () => {
    const before = await look(stage);
    const env = actAtStep('fill-at', { FILL_AT: 'backup-committed' });
    const { exitCode, stdout } = await runBackup(stage, env);
    await removeFiller();
    const { runs } = JSON.parse(stdout) as { runs: { id: string }[] };
    expect({ exitCode, runs }).toEqual({
      exitCode: 0,
      runs: [having({ outcome: 'success', error: null })],
    });
    expect((await look(stage)).succeeded).toBe(before.succeeded + 1);
    const verified = await stage.daemon.cli(['verify', runs[0]?.id ?? '', '--json']);
    expect(verified.exitCode).toBe(0);
    await expectGoodRun(stage);
  });

  it('to the last byte from the start is told, and recorded once', async () => {
    const fill =
      'dd if=/dev/zero of=/backups/.filler bs=4096; dd if=/dev/zero bs=1 >>/backups/.filler';
    await stage.daemon.exec(['sh', '-c', fill]);
    const before = await look(stage);
    expectFailedResult(await runBackup(stage), NO_BYTE);
    expect(await look(stage)).toMatchObject({ failed: before.failed + 1, lastAttemptSuccess: 0 });
    // What was kept is spent: the failure is told, that it could not be recorded is not hidden either.
    expectFailedResult(await runBackup(stage), NO_BYTE);
    await removeFiller();
    await expectGoodRun(stage);
  });
});

const NO_BYTE = {
  exitCode: 40,
  code: 'no-space',
  message: /^(no space left |\/backups has 0 MB free)/,
};
