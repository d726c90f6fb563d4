import { describe, expect, it } from 'vitest';
import { connectDocker, pingDocker } from '../../../src/docker/connect.ts';
import { inspectContainer, listContainers } from '../../../src/docker/containers.ts';
import { findOwnContainer } from '../../../src/docker/find-own.ts';
import { startIdleContainer } from '../../support/idle-container.ts';
import { docker as runDocker } from '../../support/run-process.ts';
import { runContainer, startContainer, uniqueName } from '../../support/test-container.ts';
import { containing, having, matching } from '../../support/matchers.ts';

const never = new AbortController().signal;
const docker = connectDocker(process.env);
const repository = `${import.meta.dirname}/../../..`;

describe('a real engine', () => {
  it('answers', async () => {
    expect((await pingDocker(docker, never)).engineVersion).toMatch(/^\d+\./);
  });

  it('lists running and stopped containers with their labels', async () => {
    await using running = await startIdleContainer({ labels: { 'backupd.enable': 'true' } });
    await using stopped = await startIdleContainer();
    await runDocker('stop', '-t', '0', stopped.container);
    const listings = await listContainers(docker, never);
    expect(listings.find(({ name }) => name === running.container)).toMatchObject({
      id: running.containerId,
      image: 'debian:trixie-slim',
      state: 'running',
      labels: having({ 'backupd.enable': 'true' }),
    });
    expect(listings.find(({ id }) => id === stopped.containerId)).toMatchObject({
      name: stopped.container,
      state: 'exited',
    });
  });

  it('tells all of one container, by id or name', async () => {
    const volume = uniqueName('volume');
    await using target = await startIdleContainer({
      env: { EMPTY: '', SUM: 'a=b=c', LINES: 'one\ntwo' },
      user: '1234',
      volumes: [`${volume}:/data`],
    });
    const record = await inspectContainer(docker, target.container, never);
    expect(record).toEqual(await inspectContainer(docker, target.containerId, never));
    expect(record).toMatchObject({
      id: target.containerId,
      name: target.container,
      image: 'debian:trixie-slim',
      imageId: matching(/^sha256:[0-9a-f]{64}$/),
      state: 'running',
      running: true,
      user: '1234',
      mounts: [{ type: 'volume', name: volume, destination: '/data' }],
    });
    expect(record.pid).toBeGreaterThan(0);
    expect(Date.now() - (record.startedAt?.getTime() ?? 0)).toBeLessThan(60_000);
    expect(record.env.get('SUM')).toBe('a=b=c');
    expect(record.env.get('EMPTY')).toBe('');
    expect(record.env.get('LINES')).toBe('one\ntwo');
    await runDocker('rm', '-f', target.container);
    await runDocker('volume', 'rm', volume);
  });

  it.each([
    ['by its host name', []],
    ['where the host name was set', ['--hostname', 'orders-host']],
    ['in the network of the host', ['--network', 'host']],
    ['in the network of another one', ['--network', 'container:HOST', '--cgroupns', 'private']],
  ])('shows a process its own container, %s', async (_name, options) => {
    // It has a mount that is not everybody's.
    await using host = await startContainer({
      image: 'debian:trixie-slim',
      volumes: ['/var/run/docker.sock:/its-own/docker.sock'],
      args: ['sleep', '300'],
    });
    const more = options.map((option) => option.replace('HOST', host.name));
    const name = uniqueName('own');
    const script = `
      import { connectDocker } from '/repository/src/docker/connect.ts';
      import { findOwnContainer } from '/repository/src/docker/find-own.ts';
      const own = await findOwnContainer(connectDocker({}), new AbortController().signal);
      process.stdout.write(own?.name ?? 'none');`;
    const result = await runContainer({
      name,
      image: 'node:24-trixie-slim',
      volumes: [`${repository}:/repository:ro`, '/var/run/docker.sock:/var/run/docker.sock'],
      entrypoint: 'node',
      more,
      args: ['--input-type=module', '--eval', script],
    });
    expect(result).toMatchObject({ exitCode: 0, stdout: name });
  });

  it('shows none to a process outside', async () => {
    expect(await findOwnContainer(docker, never)).toBeNull();
  });

  it('refuses who may not use the socket, and says what to do', async () => {
    const script = `
      import { connectDocker, pingDocker } from '/repository/src/docker/connect.ts';
      try {
        await pingDocker(connectDocker({}), new AbortController().signal);
      } catch (error) {
        process.stdout.write(JSON.stringify({ code: error.code, message: error.message, hint: error.hint }));
      }`;
    const result = await runContainer({
      image: 'node:24-trixie-slim',
      user: '4321:4321',
      volumes: [`${repository}:/repository:ro`, '/var/run/docker.sock:/var/run/docker.sock'],
      entrypoint: 'node',
      args: ['--input-type=module', '--eval', script],
    });
    expect(JSON.parse(result.stdout)).toMatchObject({
      code: 'target-unavailable',
      message: 'permission denied on the Docker socket /var/run/docker.sock',
      hint: containing('group_add'),
    });
  });
});
