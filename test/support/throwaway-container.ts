import type Docker from 'dockerode';
import { randomBytes } from 'node:crypto';

export interface ThrowawayContainer extends AsyncDisposable {
  readonly containerId: string;
  readonly container: string;
  readonly handle: Docker.Container;
}

export interface ThrowawayOptions {
  readonly image?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly env?: readonly string[];
  readonly host?: Docker.HostConfig;
  readonly argv?: readonly string[];
}

/** A running container that does nothing, removed when it goes out of scope. */
export async function startThrowaway(
  docker: Docker,
  options: ThrowawayOptions = {},
): Promise<ThrowawayContainer> {
  const container = `backupd-test-${randomBytes(6).toString('hex')}`;
  const [entrypoint = 'sleep', ...cmd] = options.argv ?? ['sleep', 'infinity'];
  const handle = await docker.createContainer({
    name: container,
    Image: options.image ?? 'debian:trixie-slim',
    Entrypoint: [entrypoint],
    Cmd: cmd,
    Labels: { 'backupd-test': '1', ...options.labels },
    Env: [...(options.env ?? [])],
    HostConfig: { Init: true, ...options.host },
  });
  await handle.start();
  return {
    containerId: handle.id,
    container,
    handle,
    async [Symbol.asyncDispose]() {
      await handle.remove({ force: true, v: true }).catch((error: { statusCode?: number }) => {
        // A test may have removed it itself.
        if (error.statusCode !== 404) {
          throw error;
        }
      });
    },
  };
}
