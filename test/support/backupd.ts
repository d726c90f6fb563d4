import { docker, runProcess, type ProcessResult } from './run-process.ts';
import {
  runContainer,
  startContainer,
  type ContainerOptions,
  type ExecOptions,
  type TestContainer,
} from './test-container.ts';
import { waitFor } from './wait-for.ts';

const SOCKET = '/var/run/docker.sock:/var/run/docker.sock';

export interface BackupdOptions extends Omit<ContainerOptions, 'image' | 'args'> {
  /** A volume's name or a folder's path, mounted at `/backups`. */
  readonly backups: string;
  /** Whether the Docker socket is mounted. Default: true. */
  readonly socket?: boolean;
}

export interface Daemon extends TestContainer {
  /** `docker exec CONTAINER backupd ARGS` */
  cli(args: readonly string[], options?: ExecOptions): Promise<ProcessResult>;
  /** A request to its HTTP port, from outside. */
  get(path: string): Promise<Response>;
}

/** The name of the image under test, whether or not it is there. */
export function testImage(): string {
  return process.env['BACKUPD_TEST_IMAGE'] ?? 'backupd';
}

/** The product's image, or the one that `BACKUPD_TEST_IMAGE` names. @throws Error where nobody built it. */
export async function backupdImage(): Promise<string> {
  const image = testImage();
  const { exitCode } = await runProcess(['docker', 'image', 'inspect', image]);
  if (exitCode !== 0) {
    throw new Error(`there is no image ${image}: run scripts/build-image`);
  }
  return image;
}

/** The daemon in its image, as users run it; returns when `/healthz` answers (at once where HTTP is off). */
export async function startDaemon(options: BackupdOptions): Promise<Daemon> {
  const container = await startContainer(
    await containerOptions(options, ['-p', '127.0.0.1::9321']),
  );
  const daemon = daemonIn(container);
  if (options.env?.['BACKUPD_HTTP_PORT'] !== 'off') {
    try {
      await waitFor('answer from the daemon', async () => (await daemon.get('/healthz')).ok);
    } catch (error) {
      const log = await container.logs();
      await container[Symbol.asyncDispose]();
      throw new Error(`the daemon did not come up: ${log}`, { cause: error });
    }
  }
  return daemon;
}

/** The daemon in a container that something else started. */
export function daemonIn(container: TestContainer): Daemon {
  return {
    ...container,
    cli: async (args, exec) => container.exec(['backupd', ...args], exec),
    async get(path) {
      const address = await docker('port', container.name, '9321/tcp');
      return fetch(`http://${address}${path}`);
    },
  };
}

/** One command, as `docker run --rm ... backupd ARGS`. */
export async function runBackupd(
  args: readonly string[],
  options: BackupdOptions,
  exec: Pick<ExecOptions, 'input' | 'tty' | 'signal'> = {},
): Promise<ProcessResult> {
  return runContainer({ ...(await containerOptions(options)), args }, exec);
}

async function containerOptions(
  options: BackupdOptions,
  more: readonly string[] = [],
): Promise<ContainerOptions> {
  return {
    ...options,
    image: await backupdImage(),
    volumes: [
      ...(options.socket === false ? [] : [SOCKET]),
      `${options.backups}:/backups`,
      ...(options.volumes ?? []),
    ],
    more: [...more, ...(options.more ?? [])],
  };
}
