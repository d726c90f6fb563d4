import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from './storage.ts';
import { startContainer, type ContainerOptions, type TestContainer } from './test-container.ts';
import { waitFor } from './wait-for.ts';

const PUBLISHED = join(import.meta.dirname, '../../config/least-privilege/haproxy.cfg');

/** The proxy before the Docker socket whose rules we publish. */
export interface SocketProxy extends TestContainer {
  /** For a container that is to use it, and has no other way to Docker. */
  readonly options: Pick<ContainerOptions, 'network' | 'env'> & { readonly socket: false };
}

/** @param edit changes the configuration: a line that is missing, a shorter time-out */
export async function startSocketProxy(
  how: { readonly scratch?: boolean; readonly edit?: (config: string) => string } = {},
): Promise<SocketProxy> {
  const { scratch = false, edit = (config: string): string => config } = how;
  const published = await readFile(PUBLISHED, 'utf8');
  const config = edit(published);
  if (how.edit !== undefined && config === published) {
    throw new Error('the edit changed nothing');
  }
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const path = join(folder.dir, 'haproxy.cfg');
  await writeFile(path, config, { mode: 0o644 });
  const container = stack.use(
    await startContainer({
      image: 'backupd-test/socket-proxy:1',
      volumes: [
        '/var/run/docker.sock:/var/run/docker.sock:ro',
        `${path}:/etc/haproxy/haproxy.cfg:ro`,
      ],
      env: { SCRATCH: scratch ? '1' : '0' },
      readOnly: true,
      more: ['--cap-drop', 'ALL'],
    }),
  );
  await waitFor('the proxy', async () => {
    const { exitCode } = await container.exec(['bash', '-c', ': </dev/tcp/127.0.0.1/2375']);
    return exitCode === 0;
  });
  const kept = stack.move();
  return {
    ...container,
    options: {
      socket: false,
      network: `container:${container.name}`,
      env: { DOCKER_HOST: 'tcp://127.0.0.1:2375' },
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
