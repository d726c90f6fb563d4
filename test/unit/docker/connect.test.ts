import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectDocker, pingDocker } from '../../../src/docker/connect.ts';
import { describeEndpoint } from '../../../src/docker/call.ts';
import { inspectContainer, listContainers } from '../../../src/docker/containers.ts';
import { startExec } from '../../../src/docker/exec.ts';
import { killRun } from '../../../src/docker/kill.ts';
import { containing, having } from '../../support/matchers.ts';

const never = new AbortController().signal;
let folder: string;
let socket: string;
let server: Server | null = null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backupd-docker-'));
  socket = join(folder, 'docker.sock');
});

afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  server = null;
  await rm(folder, { recursive: true });
});

/** Something that listens where Docker is expected. */
async function listen(answer: RequestListener): Promise<ReturnType<typeof connectDocker>> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server = createServer(answer).listen(socket, resolve);
  await promise;
  return connectDocker({ DOCKER_HOST: `unix://${socket}` });
}

describe('connectDocker', () => {
  it.each([{}, { DOCKER_HOST: 'tcp://proxy:2375' }])(
    'makes an agent that a library does not write out at every call: %j',
    (env) => {
      const { modem } = connectDocker(env) as { readonly modem: { readonly agent?: unknown } };
      expect(inspect(modem.agent, { showHidden: true, depth: null })).toBe('agent');
    },
  );

  it.each([
    [{}, '/var/run/docker.sock'],
    [{ DOCKER_HOST: '' }, '/var/run/docker.sock'],
    [{ DOCKER_HOST: 'unix:///run/user/1000/docker.sock' }, '/run/user/1000/docker.sock'],
    [{ DOCKER_HOST: 'unix://' }, '/var/run/docker.sock'],
    [{ DOCKER_HOST: 'tcp://proxy' }, 'proxy:2375'],
    [{ DOCKER_HOST: 'tcp://proxy:2376' }, 'proxy:2376'],
    [{ DOCKER_HOST: 'proxy:1234' }, 'proxy:1234'],
    [{ DOCKER_HOST: 'tcp://[::1]:2375' }, '[::1]:2375'],
  ])('reads %j as the Docker CLI does', (env, endpoint) => {
    expect(describeEndpoint(connectDocker(env))).toBe(endpoint);
  });

  it.each(['ssh://me@host', 'npipe:////./pipe/docker', 'tcp://', 'tcp://a b', 'tcp://proxy/path'])(
    'refuses %s',
    (host) => {
      expect(() => connectDocker({ DOCKER_HOST: host })).toThrow(
        having({ code: 'config-invalid', message: containing(host) }),
      );
    },
  );

  it('wants the certificates where TLS is asked for', () => {
    const env = { DOCKER_HOST: 'tcp://proxy', DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: folder };
    expect(() => connectDocker(env)).toThrow(
      having({
        code: 'config-invalid',
        message: containing(join(folder, 'ca.pem')),
      }),
    );
  });
});

describe('calls', () => {
  it('say that there is no socket', async () => {
    const docker = connectDocker({ DOCKER_HOST: `unix://${socket}` });
    await expect(pingDocker(docker, never)).rejects.toMatchObject({
      code: 'target-unavailable',
      message: `no Docker socket at ${socket}`,
    });
  });

  it('say that nothing answers', async () => {
    await expect(
      pingDocker(connectDocker({ DOCKER_HOST: 'tcp://127.0.0.1:1' }), never),
    ).rejects.toMatchObject({
      code: 'target-unavailable',
      message: 'nothing answers at 127.0.0.1:1',
    });
  });

  it('name the call that a proxy forbids', async () => {
    const docker = await listen((_request, response) => response.writeHead(403).end('Forbidden'));
    await expect(listContainers(docker, never)).rejects.toMatchObject({
      code: 'target-unavailable',
      message: `${socket} forbids GET /containers/json (HTTP 403)`,
    });
  });

  it('name the container that is not there', async () => {
    const docker = await listen((_request, response) =>
      response.writeHead(404).end('{"message":"No such container: orders"}'),
    );
    await expect(inspectContainer(docker, 'orders', never)).rejects.toMatchObject({
      code: 'target-unavailable',
      message: 'no container "orders"',
    });
  });

  it('do not take a web page for an answer', async () => {
    const docker = await listen((_request, response) => response.end('<html>hello</html>'));
    await expect(listContainers(docker, never)).rejects.toMatchObject({
      code: 'target-unavailable',
    });
    await expect(pingDocker(docker, never)).rejects.toMatchObject({ code: 'target-unavailable' });
    await expect(inspectContainer(docker, 'x', never)).rejects.toMatchObject({
      code: 'target-unavailable',
    });
  });

  it('end with the signal, with its reason, although Docker does not answer', async () => {
    const asked = Promise.withResolvers<void>();
    const docker = await listen(() => {
      asked.resolve();
    });
    const ending = new AbortController();
    const answer = pingDocker(docker, ending.signal);
    await asked.promise;
    ending.abort(new Error('shutting down'));
    await expect(answer).rejects.toThrow('shutting down');
  });

  it('end with the signal, although the connection broke in the middle of an answer', async () => {
    const broken = Promise.withResolvers<void>();
    const docker = await listen((request, response) => {
      request.socket.once('close', () => setImmediate(broken.resolve));
      response.write('{"Version":', () => request.socket.destroy());
    });
    const ending = new AbortController();
    const answer = pingDocker(docker, ending.signal);
    await broken.promise;
    ending.abort(new Error('shutting down'));
    await expect(answer).rejects.toThrow('shutting down');
  });

  it('end with the signal, although the library passes none on', async () => {
    const asked = Promise.withResolvers<void>();
    const container = { Id: 'c', Name: '/c', Image: 'sha256:1', Config: {}, State: {}, Mounts: [] };
    const docker = await listen((request, response) => {
      if (request.url?.startsWith('/images/') === true) {
        asked.resolve();
      } else {
        response.end(JSON.stringify(container));
      }
    });
    const ending = new AbortController();
    const answer = inspectContainer(docker, 'c', ending.signal);
    await asked.promise;
    ending.abort(new Error('shutting down'));
    await expect(answer).rejects.toThrow('shutting down');
  });

  it('fail when the connection breaks', async () => {
    const docker = await listen((request) => request.socket.destroy());
    await expect(pingDocker(docker, never)).rejects.toMatchObject({ code: 'target-unavailable' });
  });

  it('do not begin with a signal that is aborted', async () => {
    let calls = 0;
    const docker = await listen((_request, response) => {
      calls += 1;
      response.end('{}');
    });
    await expect(pingDocker(docker, AbortSignal.abort(new Error('too late')))).rejects.toThrow(
      'too late',
    );
    expect(calls).toBe(0);
  });
});

describe('execs', () => {
  const request = { containerId: 'c0ffee', container: 'orders', run: 'r', argv: ['true'] };

  it('say that a proxy does not pass the upgrade', async () => {
    const docker = await listen((incoming, response) =>
      incoming.url?.endsWith('/exec') === true && !incoming.url.includes('/start')
        ? response.writeHead(201).end('{"Id":"e1"}')
        : response.writeHead(200).end('plain'),
    );
    await expect(startExec(docker, request, never)).rejects.toMatchObject({
      code: 'target-unavailable',
      message: `${socket} does not upgrade the connection of POST /exec/{id}/start`,
    });
  });

  it('have nothing to end in a container that is gone or stopped, but in a paused one', async () => {
    let answer: readonly [number, string] = [404, 'No such container: c0ffee'];
    const docker = await listen((_incoming, response) =>
      response.writeHead(answer[0]).end(JSON.stringify({ message: answer[1] })),
    );
    await killRun(docker, request, { run: 'r' }, never);
    answer = [409, 'container c0ffee is not running'];
    await killRun(docker, request, { run: 'r' }, never);
    answer = [409, 'Container c0ffee is paused, unpause the container before exec'];
    await expect(killRun(docker, request, { run: 'r' }, never)).rejects.toMatchObject({
      code: 'target-unavailable',
      message: containing('paused'),
    });
  });
});
