import { pipeline } from 'node:stream/promises';
import { BackupdError } from '../../core/errors.ts';
import type { Warning } from '../../core/manifest.ts';
import type { RestorePlan } from '../../core/restorer.ts';
import { reach } from '../../core/steps.ts';
import type { ExecExit } from '../../docker/channel.ts';
import { decompressedArgv } from '../../docker/exec-pipe.ts';
import { startExec, type ExecRequest } from '../../docker/exec.ts';
import { runExec } from '../../docker/run-exec.ts';
import { archiveOf, openFeed } from '../feed.ts';
import { watchSpace, type SpaceWatch } from '../space.ts';
import { saidBy, type Connection } from './connection.ts';
import { diskOf, type ServerRow } from './databases.ts';
import { connectionName } from './sql.ts';
import type { ArchiveToc } from './toc.ts';

/** Index builds side by side; these machines are small and the server has other work. */
const INDEX_JOBS = 2;

/** One database to load beside. */
export interface Load {
  readonly connection: Connection;
  readonly server: ServerRow;
  readonly plan: RestorePlan;
  readonly name: string;
  readonly temporary: string;
  readonly toc: ArchiveToc;
  readonly tablespaces: ReadonlySet<string>;
}

/** Tables and rows from the stream, then indexes and constraints in parallel from the table of contents alone. */
export async function loadDatabase(load: Load, signal: AbortSignal): Promise<void> {
  const { connection, plan, name, server } = load;
  await using space = await watchSpace(diskOf(connection, server), signal);
  const watched = AbortSignal.any([signal, space.failed]);
  try {
    await streamData(load, space, watched);
    reach('beside-loaded');
    plan.onProgress({ stage: 'index', database: name });
    await buildIndexes(load, watched);
    reach('beside-indexed');
  } catch (error) {
    // Whatever the tool said when it was ended: the reason is the disk.
    throw space.failed.aborted ? space.failed.reason : error;
  }
}

/** Objects that cannot or must not be made: a restored subscription carries the live slot's name and would drop it. */
const LEFT_OUT = ['--no-subscriptions', '--exit-on-error'];

export function leftOutOf({ entries }: ArchiveToc, database: string): readonly Warning[] {
  return entries
    .filter((entry) => entry.desc === 'SUBSCRIPTION')
    .map(({ tag }) => ({
      code: 'subscription-left-out',
      message: `subscription "${tag}" of database "${database}" was not restored: create it anew where it is to go on`,
    }));
}

function restoreArgv(load: Load, sections: readonly string[]): string[] {
  return [
    load.connection.tools.paths.pg_restore,
    ...LEFT_OUT,
    ...(usesMissingTablespace(load) ? ['--no-tablespaces'] : []),
    ...sections.map((section) => `--section=${section}`),
    '-d',
    connectionName(load.temporary),
  ];
}

function usesMissingTablespace({ toc, tablespaces }: Load): boolean {
  return toc.entries.some((entry) => entry.tablespace !== '' && !tablespaces.has(entry.tablespace));
}

async function streamData(load: Load, space: SpaceWatch, signal: AbortSignal): Promise<void> {
  const { connection, plan, name } = load;
  const file = archiveOf(plan, name);
  const isCompressed = connection.tools.hasZstd && file.compression === 'zstd';
  const argv = restoreArgv(load, ['pre-data', 'data']);
  const process = await startExec(
    connection.docker,
    {
      ...request(connection, isCompressed ? decompressedArgv(argv) : argv),
      stdin: 'pipe',
    },
    signal,
  );
  process.stdout.resume();
  if (process.stdin === null) {
    throw new BackupdError('internal', 'pg_restore was started without standard input');
  }
  const feed = openFeed(plan, file, { isCompressed }, signal);
  function onPassed(bytes: number): void {
    plan.onProgress({ stage: 'load', database: name, bytes, totalBytes: file.dumpBytes });
  }
  const [fed, exit] = await Promise.allSettled([
    pipeline(space.gate(feed, onPassed), process.stdin, { signal }),
    process.exited,
  ]);
  // A tool that refuses closes its input, so its own words come first.
  if (exit.status === 'rejected') {
    throw exit.reason;
  }
  if (exit.value.exitCode !== 0) {
    throw toolFailure(connection, 'pg_restore', exit.value, process.stderr.text());
  }
  if (fed.status === 'rejected') {
    throw fed.reason;
  }
}

/**
 * $0: a file for standard input; $@: the command, which is given that file. It has no name any more when the command
 * begins, so that nothing stays whatever dies; every worker of pg_restore can open it all the same.
 */
const FROM_MEMORY =
  'umask 077; cat >"$0" || { rm -f -- "$0"; exit 1; }; exec 3<"$0"; rm -f -- "$0"; exec "$@" /proc/self/fd/3 </dev/null';

/**
 * Indexes need only the table of contents, which is small: kept in the target's memory for that time, since the
 * root may be read-only and /tmp tiny. pg_restore wants to seek in it when it works in parallel.
 */
async function buildIndexes(load: Load, signal: AbortSignal): Promise<void> {
  const { connection, toc } = load;
  const path = `/dev/shm/backupd-${load.temporary}.toc`;
  const tool = [...restoreArgv(load, ['post-data']), `--jobs=${INDEX_JOBS}`];
  const result = await runExec(
    connection.docker,
    { ...request(connection, ['sh', '-c', FROM_MEMORY, path, ...tool]), input: toc.bytes },
    signal,
  );
  if (result.exitCode !== 0) {
    throw toolFailure(connection, 'pg_restore', result, result.stderr);
  }
}

function request(connection: Connection, argv: readonly string[]): ExecRequest {
  return {
    containerId: connection.containerId,
    container: connection.container,
    run: connection.run,
    argv,
    env: { ...connection.environment, PGDATABASE: connection.maintenanceDatabase },
    // An index may take long to build and says nothing meanwhile.
    idleMs: 0,
  };
}

function toolFailure(
  connection: Connection,
  tool: string,
  exit: ExecExit,
  stderr: string,
): BackupdError {
  return new BackupdError(
    'restore-failed',
    `${tool} in "${connection.container}" exited with ${exit.exitCode ?? 'no code'}: ${saidBy(exit, stderr)}`,
  );
}
