import type Docker from 'dockerode';
import { BackupdError } from '../../core/errors.ts';
import type { Job } from '../../core/job.ts';
import { inspectContainer } from '../../docker/containers.ts';
import { probeTools } from '../../docker/exec-pipe.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import { runExec } from '../../docker/run-exec.ts';
import { readSetting, readTargetFile, type SettingsTarget } from '../target-settings.ts';
import { query } from './query.ts';
import type { ClientSession } from './session.ts';

/** Which of the two a server is; told by itself, since names of images and variables are no proof. */
export type Flavour = 'mysql' | 'mariadb';

/** How to reach the server in its container: what every client and dump of one run gets. */
export interface Connection {
  readonly docker: Docker;
  readonly containerId: string;
  readonly container: string;
  /** Marks the processes of this run. */
  readonly run: string;
  readonly flavour: Flavour;
  /** `11.8.6-MariaDB-ubu2404`, `9.7.4`. */
  readonly serverVersion: string;
  /** `mariadb-dump from 11.8.6-MariaDB, client 10.19 for debian-linux-gnu (x86_64)`. */
  readonly toolVersion: string;
  /** Names of the programs, as they are in this container. */
  readonly tools: { readonly client: string; readonly dump: string };
  readonly hasZstd: boolean;
  /** For every client: user, socket, character set. No secret. */
  readonly options: readonly string[];
  /** Never printed: holds the password. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where one is open: every query goes through it. */
  readonly session: ClientSession | null;
}

interface Tools {
  readonly client: string;
  readonly dump: string;
  readonly version: string;
  readonly hasZstd: boolean;
}

/**
 * Finds out how to connect: the tools' names, user and password from labels or the target's own environment.
 * @throws BackupdError `target-unavailable` without the tools, `dump-failed` where the server refuses
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
  const password =
    how.passwordFile === null
      ? ((await readSetting(base, record, 'MARIADB_ROOT_PASSWORD', signal)) ??
        (await readSetting(base, record, 'MYSQL_ROOT_PASSWORD', signal)))
      : await readTargetFile(base, how.passwordFile, signal);
  const user = how.user ?? 'root';
  const unknown = {
    ...base,
    flavour: 'mysql' as const,
    serverVersion: '',
    toolVersion: tools.version,
    tools,
    hasZstd: tools.hasZstd,
    session: null,
    // By the socket: so no TLS is needed, and an account that the socket lets in works.
    options: [
      `--user=${user}`,
      '--host=localhost',
      '--protocol=socket',
      '--default-character-set=utf8mb4',
    ],
    environment: {
      LC_ALL: 'C',
      // A .my.cnf in the home of the user beats what is given here.
      HOME: '/nonexistent',
      MYSQL_TEST_LOGIN_FILE: '/nonexistent',
      ...(password === null ? {} : { MYSQL_PWD: password }),
    },
  };
  const [[version = ''] = []] = await logIn(unknown, user, signal);
  return {
    ...unknown,
    serverVersion: version,
    flavour: /mariadb/i.test(version) ? 'mariadb' : 'mysql',
  };
}

async function logIn(
  connection: Connection,
  user: string,
  signal: AbortSignal,
): Promise<readonly (readonly string[])[]> {
  try {
    return await query(connection, { sql: 'select version()', code: 'dump-failed' }, signal);
  } catch (error) {
    if (error instanceof BackupdError && error.code === 'dump-failed') {
      throw new BackupdError(
        'dump-failed',
        `cannot connect to the server in "${connection.container}" as "${user}": ${error.message}`,
        {
          hint: 'Check MARIADB_ROOT_PASSWORD or MYSQL_ROOT_PASSWORD of the container, or set the labels backupd.user and backupd.password_file.',
          cause: error,
        },
      );
    }
    throw error;
  }
}

async function findTools(base: SettingsTarget, signal: AbortSignal): Promise<Tools> {
  const { docker, ...at } = base;
  const names = ['mariadb', 'mysql', 'mariadb-dump', 'mysqldump', 'zstd'] as const;
  const paths = await probeTools(docker, at, names, signal);
  function has(name: (typeof names)[number]): boolean {
    return (paths.get(name) ?? null) !== null;
  }
  // Where both names are there they are the same program; the old one prints that it is deprecated.
  const client = has('mariadb') ? 'mariadb' : has('mysql') ? 'mysql' : null;
  const dump = has('mariadb-dump') ? 'mariadb-dump' : has('mysqldump') ? 'mysqldump' : null;
  if (client === null || dump === null) {
    const missing =
      dump === null ? 'neither mariadb-dump nor mysqldump' : 'neither mariadb nor mysql';
    throw new BackupdError(
      'target-unavailable',
      `container "${at.container}" has ${missing} on its PATH`,
      {
        hint: 'Use an image that has the client tools (the official images do), or set backupd.engine to what it really is.',
      },
    );
  }
  const version = await runExec(docker, { ...at, argv: [dump, '--version'] }, signal);
  if (version.exitCode !== 0) {
    throw new BackupdError(
      'target-unavailable',
      `${dump} --version in "${at.container}" exited with ${version.exitCode ?? 'no code'}: ${reasonOf(version, version.stderr)}`,
      { hint: 'Run it by hand with "docker exec" to see why.' },
    );
  }
  return { client, dump, version: version.stdout.trim(), hasZstd: has('zstd') };
}
