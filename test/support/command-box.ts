import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { backupdImage } from './backupd.ts';
import { docker, type ProcessResult } from './run-process.ts';
import { temporaryFolder } from './storage.ts';
import { startContainer, type ContainerOptions, type TestContainer } from './test-container.ts';

/** Where test/support is mounted in the containers of backupd. */
const SUPPORT = '/faults';

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** The step at which the command is to die, as kill-at.ts takes it. */
  readonly killAt?: string;
  readonly signal?: AbortSignal;
  readonly tty?: boolean;
}

/** A container of backupd in which commands are run, on an empty folder; it lives until it is disposed and has no daemon. */
export interface CommandBox extends AsyncDisposable {
  /** The folder that is mounted as `/backups`. */
  readonly dir: string;
  readonly box: TestContainer;
  /** How to start another container of backupd on the same folder. */
  readonly options: ContainerOptions;
  /** `docker exec BOX backupd ARGS` */
  backupd(args: readonly string[], options?: CommandOptions): Promise<ProcessResult>;
  /** The same with `--json`, expected to end well: its document. */
  json<T>(args: readonly string[]): Promise<T>;
}

/** @param more options of `docker run` */
export async function openCommandBox(
  settings: Readonly<Record<string, string>>,
  more: readonly string[] = [],
): Promise<CommandBox> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await temporaryFolder());
  const plain = await backupdOptions(dir, settings);
  const options = { ...plain, more: [...(plain.more ?? []), ...more] };
  const box = stack.use(
    await startContainer({ ...options, entrypoint: 'tini', args: ['--', 'sleep', 'infinity'] }),
  );
  const kept = stack.move();

  async function backupd(
    args: readonly string[],
    { killAt, env, ...exec }: CommandOptions = {},
  ): Promise<ProcessResult> {
    const dying =
      killAt === undefined
        ? {}
        : { KILL_AT: killAt, NODE_OPTIONS: `--import ${SUPPORT}/kill-at.ts` };
    return box.exec(['backupd', ...args], { ...exec, env: { ...env, ...dying } });
  }

  return {
    dir,
    box,
    options,
    backupd,
    async json<T>(args: readonly string[]) {
      const { exitCode, stdout, stderr } = await backupd([...args, '--json']);
      if (exitCode !== 0) {
        throw new Error(`backupd ${args.join(' ')} ended with ${exitCode}: ${stdout}${stderr}`);
      }
      return JSON.parse(stdout) as T;
    },
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

/** How to start a container of backupd on this folder that runs nothing by itself, with what kill-at.ts needs. */
async function backupdOptions(
  dir: string,
  settings: Readonly<Record<string, string>>,
): Promise<ContainerOptions> {
  return {
    image: await backupdImage(),
    volumes: [
      '/var/run/docker.sock:/var/run/docker.sock',
      `${dir}:/backups`,
      `${dirname(fileURLToPath(import.meta.url))}:${SUPPORT}:ro`,
    ],
    // So that what it writes can be read and removed from here.
    user: `${process.getuid?.()}:${process.getgid?.()}`,
    more: ['--group-add', await groupOfSocket(), '--no-healthcheck'],
    env: {
      BACKUPD_DISCOVER: 'off',
      BACKUPD_SCHEDULE: 'off',
      ...settings,
    },
  };
}

async function groupOfSocket(): Promise<string> {
  const argv = ['run', '--rm', '--volume', '/var/run/docker.sock:/socket', '--entrypoint', 'stat'];
  return docker(...argv, await backupdImage(), '--format', '%g', '/socket');
}
