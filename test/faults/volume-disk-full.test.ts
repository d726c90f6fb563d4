import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCommandBox, type CommandBox } from '../support/command-box.ts';
import { startIdleContainer, type IdleContainer } from '../support/idle-container.ts';
import { docker } from '../support/run-process.ts';
import { smallVolume } from '../support/test-container.ts';
import { fingerprintVolume, type VolumeFingerprint } from '../support/volume.ts';

const MB = 1024 * 1024;

/** Has the disk mounted as long as it runs: a directory of the host for backupd. */
let holder: IdleContainer;
let path: string;
let box: CommandBox;
let before: VolumeFingerprint;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  const disk = stack.use(await smallVolume(400 * MB));
  holder = stack.use(await startIdleContainer({ volumes: [`${disk.name}:/disk`] }));
  path = await docker('volume', 'inspect', '--format', '{{.Mountpoint}}', disk.name);
  await onDisk('mkdir data && head -c 120M /dev/urandom >data/large && seq 1000 >data/small');
  box = stack.use(await openCommandBox({ BACKUPD_SOURCES: `files=volume://${path}/data` }));
  await box.json(['backup', 'files']);
  await onDisk('echo changed >data/small');
  before = await fingerprintVolume(`${path}/data`);
});

afterAll(async () => {
  await stack.disposeAsync();
});

async function onDisk(script: string): Promise<string> {
  const { exitCode, stdout, stderr } = await holder.exec(['sh', '-euc', `cd /disk; ${script}`]);
  expect(exitCode, stderr).toBe(0);
  return stdout.trim();
}

/** Something else takes the disk, but for so much. */
async function fillDisk(leftBytes: number): Promise<void> {
  const freeBytes = Number((await onDisk('df -B1 --output=avail .')).split('\n')[1]);
  await onDisk(`fallocate -l ${freeBytes - leftBytes} filler`);
}

/** Nothing was changed, and nothing is left. */
async function expectUntouched(): Promise<void> {
  expect(await fingerprintVolume(`${path}/data`)).toEqual(before);
  expect(await onDisk('ls -A data')).toBe('large\nsmall');
}

test('a disk that has too little space to begin refuses a restore with 40', async () => {
  await fillDisk(100 * MB);
  const result = await box.backupd(['restore', 'files', '--json']);
  expect(result, result.stderr).toMatchObject({ exitCode: 40, stdout: '' });
  expect(JSON.parse(result.stderr)).toMatchObject({
    error: {
      code: 'no-space',
      message: expect.stringContaining(`the disk of "${path}/data"`) as unknown,
    },
  });
  await expectUntouched();
  await onDisk('rm filler');
});

test('a load that leaves too little is ended before the disk is full, with 22', async () => {
  await fillDisk(125 * MB);
  const result = await box.backupd(['restore', 'files', '--json']);
  expect(result, result.stderr).toMatchObject({ exitCode: 22, stdout: '' });
  expect(JSON.parse(result.stderr)).toMatchObject({
    error: { code: 'restore-failed', message: expect.stringContaining('MB left') as unknown },
  });
  await expectUntouched();
  await onDisk('rm filler');
  await box.json(['restore', 'files']);
  expect(await onDisk('tail -n 1 data/small')).toBe('1000');
});
