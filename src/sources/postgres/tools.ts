import type Docker from 'dockerode';
import { BackupdError } from '../../core/errors.ts';
import type { ExecRequest } from '../../docker/exec.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import { runExec } from '../../docker/run-exec.ts';

/** What a look into the container found. */
export interface Tools {
  /** `pg_dump (PostgreSQL) 17.6`. */
  readonly version: string;
  readonly major: number;
  readonly hasZstd: boolean;
  /** The name of the container's first process. */
  readonly firstProcess: string;
  /** What each is started as. */
  readonly paths: Readonly<Record<PgTool, string>>;
}

export type PgTool = 'psql' | 'pg_dump' | 'pg_restore';

/**
 * All in one process: to start one in a container takes longer than what it does. In Debian's images, the official ones
 * among them, the tools are a script that looks for clusters and then starts the real ones: that takes longer than most
 * of what psql is asked.
 */
const LOOK = `
pg_dump --version || exit
cat /proc/1/comm || echo
command -v zstd || echo
for tool in psql pg_dump pg_restore; do
  path=$(command -v "$tool")
  real=/usr/lib/postgresql/$PG_MAJOR/bin/$tool
  case $(readlink -f "$path" 2>/dev/null) in
    */pg_wrapper) [ -x "$real" ] && path=$real ;;
  esac
  echo "\${path:-$tool}"
done`;

/** Looks for the tools. @throws BackupdError `target-unavailable` without pg_dump */
export async function readTools(
  docker: Docker,
  at: Pick<ExecRequest, 'containerId' | 'container' | 'run'>,
  signal: AbortSignal,
): Promise<Tools> {
  const { containerId, container, run } = at;
  const argv = ['sh', '-c', LOOK];
  const result = await runExec(docker, { containerId, container, run, argv }, signal);
  if (result.exitCode === 126 || result.exitCode === 127) {
    // Docker's own words, where it could not even start the shell.
    const missing = /exec: "sh"/.test(result.stderr + result.stdout) ? 'sh' : 'pg_dump';
    throw new BackupdError(
      'target-unavailable',
      `container "${container}" has no ${missing} on its PATH`,
      {
        hint: 'Use an image that has a shell and the PostgreSQL client tools (the official postgres images do), or set backupd.engine to what it really is.',
      },
    );
  }
  if (result.exitCode !== 0) {
    throw new BackupdError(
      'target-unavailable',
      `pg_dump --version in "${container}" exited with ${result.exitCode ?? 'no code'}: ${reasonOf(result, result.stderr)}`,
      { hint: 'Run it by hand with "docker exec" to see why.' },
    );
  }
  return parseTools(result.stdout);
}

function parseTools(said: string): Tools {
  const [version = '', firstProcess = '', zstd = '', psql = '', dump = '', restore = ''] =
    said.split('\n');
  const [major] = /\d+/.exec(version.replace(/^[^)]*\)/, '')) ?? ['0'];
  const paths = { psql, pg_dump: dump, pg_restore: restore };
  return { version, major: Number(major), hasZstd: zstd !== '', firstProcess, paths };
}
