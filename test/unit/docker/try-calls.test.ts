import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { connectDocker } from '../../../src/docker/connect.ts';
import { tryCalls } from '../../../src/docker/try-calls.ts';
import { temporaryFolder } from '../../support/storage.ts';

const SIGNAL = AbortSignal.timeout(10_000);

/** A Docker that has nothing, behind a proxy; `requests` is what came. */
async function withDocker<T>(
  statusOf: (request: IncomingMessage) => number,
  work: (docker: ReturnType<typeof connectDocker>, requests: readonly string[]) => Promise<T>,
): Promise<T> {
  await using folder = await temporaryFolder();
  const path = join(folder.dir, 'docker.sock');
  const requests: string[] = [];
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    requests.push(`${request.method} ${request.url} ${body}`);
    response.writeHead(statusOf(request), { 'content-type': 'application/json' });
    response.end('{"message":"no"}');
  }
  await using server = createServer((request, response) => {
    void answer(request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  return await work(connectDocker({ DOCKER_HOST: `unix://${path}` }), requests);
}

test('tells calls that are forbidden from those that Docker itself refuses', async () => {
  function statusOf({ method, url }: IncomingMessage): number {
    const isExec = url?.startsWith('/exec/') === true;
    return method === 'DELETE' ? 405 : isExec && method === 'POST' ? 403 : 404;
  }
  const tried = await withDocker(statusOf, async (docker) => tryCalls(docker, SIGNAL));
  expect(tried.filter(({ isForbidden }) => isForbidden).map(({ name }) => name)).toEqual([
    'POST /exec/{id}/start',
    'DELETE /volumes/{name}',
    'DELETE /containers/{id}',
  ]);
  expect(tried.some(({ name }) => name === 'POST /containers/{id}/unpause')).toBe(true);
});

test('asks for nothing that there is', async () => {
  const requests = await withDocker(
    () => 404,
    async (docker, seen) => {
      await tryCalls(docker, SIGNAL);
      return [...seen];
    },
  );
  const changing = requests.filter((request) => !request.startsWith('GET '));
  expect(changing).toHaveLength(10);
  for (const request of changing) {
    expect(request).toContain('backupd-check-nothing');
  }
  // A name that no volume can have: where it were made, it would stay.
  expect(changing.find((request) => request.includes('/volumes/create'))).toContain('"Name":"/');
});

test('where nothing answers that is the failure', async () => {
  const docker = connectDocker({ DOCKER_HOST: 'unix:///nowhere/docker.sock' });
  await expect(tryCalls(docker, SIGNAL)).rejects.toThrow('no Docker socket');
});
