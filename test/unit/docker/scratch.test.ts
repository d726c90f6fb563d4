import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { connectDocker } from '../../../src/docker/connect.ts';
import { readScratch, removeScratches } from '../../../src/docker/scratch.ts';
import { temporaryFolder } from '../../support/storage.ts';

const NEVER = new AbortController().signal;

/** Something that answers as Docker does: by method and the path without the version. */
async function dockerSaying(
  answer: (call: string) => { readonly status: number; readonly body?: unknown },
): Promise<AsyncDisposable & { readonly docker: ReturnType<typeof connectDocker> }> {
  const folder = await temporaryFolder();
  const socket = join(folder.dir, 'docker.sock');
  const server = createServer(({ method = '', url = '' }, response) => {
    const { status, body } = answer(`${method} ${url.replace(/\?.*/, '')}`);
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(body === undefined ? '' : JSON.stringify(body));
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(socket, resolve);
  await promise;
  return {
    docker: connectDocker({ DOCKER_HOST: `unix://${socket}` }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test('a container that is being removed already is as good as gone', async () => {
  await using here = await dockerSaying((call) => {
    if (call === 'GET /containers/json') {
      return { status: 200, body: [{ Id: 'one' }, { Id: 'two' }] };
    }
    return call === 'GET /volumes'
      ? { status: 200, body: { Volumes: null } }
      : { status: call.endsWith('/one') ? 409 : 404, body: { message: 'removal in progress' } };
  });
  expect(await removeScratches(here.docker, 'id/db', NEVER)).toBe(2);
});

test('a container of which the kernel ended a process runs on, and is known to lack memory', async () => {
  const State = { Running: true, OOMKilled: true, ExitCode: 0 };
  await using here = await dockerSaying(() => ({ status: 200, body: { State } }));
  expect(await readScratch(here.docker, 'one', NEVER)).toEqual({
    runs: true,
    exitCode: 0,
    outOfMemory: true,
    said: '',
  });
});
