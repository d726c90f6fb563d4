import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupdImage } from '../../support/backupd.ts';
import { docker, runProcess, type ProcessResult } from '../../support/run-process.ts';
import { temporaryFolder, type TemporaryFolder } from '../../support/storage.ts';
import { uniqueName } from '../../support/test-container.ts';
import { fingerprintVolume, inVolume, volumeNamed } from '../../support/volume.ts';

const PROJECT = uniqueName('stack');
const VOLUME = `${PROJECT}_uploads`;

let folder: TemporaryFolder;

beforeAll(async () => {
  folder = await temporaryFolder();
  await up({});
  await inVolume(VOLUME, 'mkdir a; echo b >a/b; chown -R 33:33 .');
});

afterAll(async () => {
  await compose('down', '--volumes', '--timeout', '1');
  await folder[Symbol.asyncDispose]();
});

async function compose(...args: readonly string[]): Promise<ProcessResult> {
  const file = join(folder.dir, 'compose.json');
  return runProcess(['docker', 'compose', '-p', PROJECT, '-f', file, ...args]);
}

/** Brings the stack up with these labels on its application. @returns what compose said */
async function up(labels: Readonly<Record<string, string>>): Promise<string> {
  const idle = { image: 'debian:trixie-slim', command: 'sleep infinity', stop_grace_period: '1s' };
  const services = {
    app: { ...idle, labels, volumes: ['uploads:/srv/uploads'] },
    backupd: {
      image: await backupdImage(),
      entrypoint: ['tini', '--', 'sleep', 'infinity'],
      volumes: ['/var/run/docker.sock:/var/run/docker.sock', 'backups:/backups'],
    },
  };
  const file = { services, volumes: { uploads: {}, backups: {} } };
  await writeFile(join(folder.dir, 'compose.json'), JSON.stringify(file));
  const { exitCode, stdout, stderr } = await compose('up', '--detach');
  expect(exitCode, stderr).toBe(0);
  return stdout + stderr;
}

async function backupd(...args: readonly string[]): Promise<ProcessResult> {
  return runProcess(['docker', 'exec', `${PROJECT}-backupd-1`, 'backupd', ...args]);
}

test('a label on a running container backs its volume up, and compose leaves the volume as it is', async () => {
  const made = await docker('volume', 'inspect', VOLUME);
  const before = await fingerprintVolume(VOLUME);
  const said = await up({ 'backupd.volumes': 'uploads', 'backupd.stop': 'app' });
  expect(said).not.toMatch(/volume/i);
  expect(await docker('volume', 'inspect', VOLUME)).toBe(made);
  expect(await fingerprintVolume(VOLUME)).toEqual(before);

  const { exitCode, stdout, stderr } = await backupd('backup', 'uploads', '--json');
  expect(exitCode, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    runs: [{ source: 'uploads', engine: 'volume', outcome: 'success', warnings: [] }],
  });
  const checked = await backupd('check');
  expect(checked.stdout).toContain(`volume "${VOLUME}" of driver local`);
});

test('a restore after all of the stack is gone makes the volume as compose made it', async () => {
  const before = await fingerprintVolume(VOLUME);
  await compose('rm', '--force', '--stop', 'app');
  await docker('volume', 'rm', VOLUME);
  const { exitCode, stderr } = await backupd('restore', 'uploads');
  expect(exitCode, stderr).toBe(0);
  expect(await fingerprintVolume(VOLUME)).toEqual(before);

  const said = await up({ 'backupd.volumes': 'uploads' });
  expect(said).not.toMatch(/volume/i);
  expect(await fingerprintVolume(VOLUME)).toEqual(before);
  const restored = await backupd('restore', 'uploads', '--stop', 'app');
  expect(restored.exitCode, restored.stderr).toBe(0);
});

test('commands around the backup of a volume run in the container that has the label, also where it is stopped meanwhile', async () => {
  await up({
    'backupd.volumes': 'uploads',
    'backupd.stop': 'app',
    'backupd.before': 'echo yes >/srv/uploads/flushed; hostname',
    'backupd.after': 'rm /srv/uploads/flushed',
  });
  const { exitCode, stdout, stderr } = await backupd('backup', 'uploads', '--json');
  expect(exitCode, stderr).toBe(0);
  const { runs } = JSON.parse(stdout) as { readonly runs: readonly { readonly id: string }[] };
  const shown = await backupd('show', runs[0]?.id ?? '', '--json');
  const hostname = await docker('inspect', '--format', '{{.Config.Hostname}}', `${PROJECT}-app-1`);
  expect(JSON.parse(shown.stdout)).toMatchObject({
    hooks: [
      { when: 'before', exitCode: 0, output: hostname },
      { when: 'after', exitCode: 0, output: '' },
    ],
    halts: [{ container: `${PROJECT}-app-1`, how: 'stop' }],
  });
  expect(await inVolume(VOLUME, 'ls')).toBe('a\n');
  await using copy = volumeNamed(`${PROJECT}_copy`);
  const restored = await backupd('restore', 'uploads', '--as', copy.name);
  expect(restored.exitCode, restored.stderr).toBe(0);
  expect(await inVolume(copy.name, 'ls; cat flushed')).toBe('a\nflushed\nyes\n');
});
