import { expect, test } from 'vitest';
import {
  backupdImage,
  runBackupd,
  startDaemon,
  type BackupdOptions,
} from '../../support/backupd.ts';
import { docker } from '../../support/run-process.ts';
import { startContainer, testVolume, uniqueName } from '../../support/test-container.ts';
import { waitFor } from '../../support/wait-for.ts';

/** As compose restarts it. */
const RESTARTING = ['--restart', 'unless-stopped'];

function daemonOf(
  volume: { readonly name: string },
  project: string,
  more: readonly string[] = [],
): BackupdOptions {
  return {
    backups: volume.name,
    labels: { 'com.docker.compose.project': project },
    more: [...more],
  };
}

/** How it ended last, and how often it was restarted. */
async function exitCodeOf(container: string): Promise<string> {
  return docker('inspect', '--format', '{{.State.ExitCode}} {{.RestartCount}}', container);
}

test('a second daemon is refused, and takes over by itself once the first has died', async () => {
  await using volume = await testVolume();
  const project = uniqueName('project');
  const options = daemonOf(volume, project);
  await using first = await startDaemon(options);

  const refused = await runBackupd(['daemon'], options);
  expect(refused).toMatchObject({ exitCode: 11, stdout: '' });
  expect(refused.stderr).toMatch(/^error: .*"daemon"/m);
  expect(refused.stderr).toMatch(/^hint: /m);
  // Who only looks is not refused.
  expect(await runBackupd(['list', '--json'], options)).toMatchObject({
    exitCode: 0,
    stdout: '[]\n',
  });

  await using second = await startContainer({
    image: await backupdImage(),
    labels: options.labels ?? {},
    volumes: ['/var/run/docker.sock:/var/run/docker.sock', `${volume.name}:/backups`],
    more: RESTARTING,
  });
  await waitFor('second daemon that is refused again and again', async () =>
    /^11 [1-9]/.test(await exitCodeOf(second.name)),
  );
  expect((await first.get('/readyz')).status).toBe(200);

  await docker('kill', first.name);
  await waitFor(
    'second daemon in the place of the first',
    async () => (await second.logs()).includes('daemon started'),
    90_000,
  );
  const late = await runBackupd(['daemon'], options);
  expect(late).toMatchObject({ exitCode: 11 });
});

test('a daemon that stopped leaves the directory free at once', async () => {
  await using volume = await testVolume();
  const options = daemonOf(volume, uniqueName('project'));
  {
    await using first = await startDaemon(options);
    await docker('stop', first.name);
    expect(await exitCodeOf(first.name)).toBe('0 0');
  }
  await using second = await startDaemon(options);
  expect(await second.logs()).toContain('daemon started');
});

test('a directory has one namespace: a second one is refused, a project without one adopts it', async () => {
  await using volume = await testVolume();
  const [one, other] = [uniqueName('one'), uniqueName('other')];
  {
    await using first = await startDaemon(daemonOf(volume, one));
    expect(await first.logs()).toContain(`"namespace":"${one}"`);
  }
  const named = { ...daemonOf(volume, other), env: { BACKUPD_NAMESPACE: other } };
  for (const args of [['daemon'], ['backup'], ['list']]) {
    const { exitCode, stdout, stderr } = await runBackupd(args, named);
    expect({ exitCode, stdout }, stderr).toEqual({ exitCode: 3, stdout: '' });
    expect(stderr).toContain(one);
    expect(stderr).toContain(other);
    expect(stderr).toMatch(/^hint: /m);
  }
  await using second = await startDaemon(daemonOf(volume, other));
  expect(await second.logs()).toContain(`"namespace":"${one}"`);
});
