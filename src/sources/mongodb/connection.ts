import type Docker from 'dockerode';
import { BackupdError } from '../../core/errors.ts';
import type { Job } from '../../core/job.ts';
import { inspectContainer } from '../../docker/containers.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import { probeTools } from '../../docker/exec-pipe.ts';
import { runExec } from '../../docker/run-exec.ts';
import { readSetting, readTargetFile, type SettingsTarget } from '../target-settings.ts';

/** How to reach the server in its container: what every client and tool of one run gets. */
export interface Connection {
  readonly docker: Docker;
  readonly containerId: string;
  readonly container: string;
  /** Marks the processes of this run. */
  readonly run: string;
  readonly port: number;
  /** Null: the server asks for none. Never printed. */
  readonly login: { readonly user: string; readonly password: string } | null;
  /** `mongodump version: 100.10.0`. */
  readonly toolVersion: string;
  readonly hasZstd: boolean;
}

/** The port that the image opens, and everybody uses in a container. */
const PORT = 27_017;
const NEEDED = ['bash', 'mongodump', 'mongorestore'] as const;

/**
 * Finds out how to connect: the tools, user and password from labels or the target's own environment. Does not log in.
 * @throws BackupdError `target-unavailable` without the tools, `dump-failed` where a file with a password cannot be read
 */
export async function connect(
  docker: Docker,
  at: { readonly containerId: string },
  how: Pick<Job, 'user' | 'passwordFile'> & { readonly run: string },
  signal: AbortSignal,
): Promise<Connection> {
  const record = await inspectContainer(docker, at.containerId, signal);
  const base = { docker, containerId: record.id, container: record.name, run: how.run };
  const tools = await findTools(base, signal);
  const user = how.user ?? (await readSetting(base, record, 'MONGO_INITDB_ROOT_USERNAME', signal));
  const password =
    how.passwordFile === null
      ? await readSetting(base, record, 'MONGO_INITDB_ROOT_PASSWORD', signal)
      : await readTargetFile(base, how.passwordFile, signal);
  return {
    ...base,
    ...tools,
    port: PORT,
    login: user === null ? null : { user, password: password ?? '' },
  };
}

async function findTools(
  base: SettingsTarget,
  signal: AbortSignal,
): Promise<Pick<Connection, 'toolVersion' | 'hasZstd'>> {
  const { docker, ...at } = base;
  const paths = await probeTools(docker, at, [...NEEDED, 'zstd'], signal);
  const missing = NEEDED.filter((tool) => (paths.get(tool) ?? null) === null);
  if (missing.length > 0) {
    throw new BackupdError(
      'target-unavailable',
      `container "${at.container}" has no ${missing.join(', no ')} on its PATH`,
      {
        hint: 'Use an image that has bash and the database tools (the official ones do), or set backupd.engine to what it really is.',
      },
    );
  }
  const version = await runExec(docker, { ...at, argv: ['mongodump', '--version'] }, signal);
  const [first = ''] = version.stdout.split('\n');
  if (version.exitCode !== 0) {
    throw new BackupdError(
      'target-unavailable',
      `mongodump --version in "${at.container}" exited with ${version.exitCode ?? 'no code'}: ${reasonOf(version, version.stderr)}`,
      { hint: 'Run it by hand with "docker exec" to see why.' },
    );
  }
  return { toolVersion: first.trim(), hasZstd: (paths.get('zstd') ?? null) !== null };
}
