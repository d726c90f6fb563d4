import { randomBytes } from 'node:crypto';
import { docker, runProcess, type ProcessResult } from './run-process.ts';

/** What `docker run` is given; everything as its options of the same name take it. */
export interface ContainerOptions {
  readonly image: string;
  /** Default: one that no other container has. */
  readonly name?: string;
  readonly args?: readonly string[];
  readonly entrypoint?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Path to options: `{ '/tmp': 'size=1m' }`. */
  readonly tmpfs?: Readonly<Record<string, string>>;
  /** `source:path[:ro]` */
  readonly volumes?: readonly string[];
  readonly user?: string;
  readonly readOnly?: boolean;
  readonly network?: string;
  /** Anything else, such as `['--memory', '64m']`. */
  readonly more?: readonly string[];
}

export interface ExecOptions {
  readonly user?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** With a terminal, as `docker exec -t`. */
  readonly tty?: boolean;
  readonly signal?: AbortSignal;
}

/** A container that is removed, with its anonymous volumes, when it is disposed. */
export interface TestContainer extends AsyncDisposable {
  readonly id: string;
  readonly name: string;
  /** `docker exec` by the name, so it works after the container was recreated, too. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<ProcessResult>;
  /** stdout and stderr of its main process so far. */
  logs(): Promise<string>;
}

/** A name for a container, volume or network that nothing else has. */
export function uniqueName(stem: string): string {
  return `backupd-test-${stem}-${randomBytes(4).toString('hex')}`;
}

/** Starts a container in the background. @throws Error when Docker refuses. */
export async function startContainer(options: ContainerOptions): Promise<TestContainer> {
  const name = options.name ?? uniqueName('container');
  const id = await docker('run', '--detach', '--name', name, ...runOptions(options));
  return containerNamed(name, id);
}

/** A container that was started already, by whomever. */
export function containerNamed(name: string, id: string): TestContainer {
  return {
    id,
    name,
    exec: async (argv, execOptions = {}) => execIn(name, argv, execOptions),
    async logs() {
      const { stdout, stderr } = await runProcess(['docker', 'logs', name]);
      return stdout + stderr;
    },
    async [Symbol.asyncDispose]() {
      // `--force` makes one that a test removed itself no error.
      await docker('rm', '--force', '--volumes', name);
    },
  };
}

/** `docker run --rm` to its end. */
export async function runContainer(
  options: ContainerOptions,
  exec: Pick<ExecOptions, 'input' | 'tty' | 'signal'> = {},
): Promise<ProcessResult> {
  const argv = [
    'docker',
    'run',
    '--rm',
    '--name',
    options.name ?? uniqueName('run'),
    ...(exec.input === undefined ? [] : ['--interactive']),
    ...(exec.tty === true ? ['--tty'] : []),
    ...runOptions(options),
  ];
  return runProcess(argv, exec);
}

async function execIn(
  container: string,
  argv: readonly string[],
  options: ExecOptions,
): Promise<ProcessResult> {
  const command = [
    'docker',
    'exec',
    ...(options.input === undefined ? [] : ['--interactive']),
    ...(options.tty === true ? ['--tty'] : []),
    ...(options.user === undefined ? [] : ['--user', options.user]),
    ...pairs('--env', options.env),
    container,
    ...argv,
  ];
  // Its environment is that of the command in the container, not that of the Docker CLI.
  const { input, signal } = options;
  return runProcess(command, {
    ...(input === undefined ? {} : { input }),
    ...(signal === undefined ? {} : { signal }),
  });
}

export interface TestVolume extends AsyncDisposable {
  readonly name: string;
}

/** An empty volume. */
export async function testVolume(options: readonly string[] = []): Promise<TestVolume> {
  const name = uniqueName('volume');
  await docker('volume', 'create', '--label', 'backupd-test=1', ...options, name);
  return {
    name,
    async [Symbol.asyncDispose]() {
      await docker('volume', 'rm', '--force', name);
    },
  };
}

/** A volume in memory of that size, to be filled to its end; what it holds is gone with the last container that uses it. */
export async function smallVolume(sizeBytes: number): Promise<TestVolume> {
  const mount = ['type=tmpfs', 'device=tmpfs', `o=size=${sizeBytes},mode=1777`];
  return testVolume(mount.flatMap((option) => ['--opt', option]));
}

function runOptions(options: ContainerOptions): readonly string[] {
  return [
    ...pairs('--label', { 'backupd-test': '1', ...options.labels }),
    ...pairs('--env', options.env),
    ...Object.entries(options.tmpfs ?? {}).flatMap(([path, how]) => ['--tmpfs', `${path}:${how}`]),
    ...(options.volumes ?? []).flatMap((volume) => ['--volume', volume]),
    ...(options.user === undefined ? [] : ['--user', options.user]),
    ...(options.readOnly === true ? ['--read-only'] : []),
    ...(options.network === undefined ? [] : ['--network', options.network]),
    ...(options.entrypoint === undefined ? [] : ['--entrypoint', options.entrypoint]),
    ...(options.more ?? []),
    options.image,
    ...(options.args ?? []),
  ];
}

function pairs(option: string, values: Readonly<Record<string, string>> = {}): readonly string[] {
  return Object.entries(values).flatMap(([name, value]) => [option, `${name}=${value}`]);
}
