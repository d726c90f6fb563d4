import type Docker from 'dockerode';
import type { ExecRequest } from './exec.ts';
import { runExec } from './run-exec.ts';
import { programName } from './exec-failure.ts';

const PROBE = `for tool; do command -v "$tool" || echo; done`;

/**
 * Where programs are in a container, by name; null for those that are not there, and for all where there is no shell.
 * @throws BackupdError `target-unavailable`
 */
export async function probeTools(
  docker: Docker,
  at: Pick<ExecRequest, 'containerId' | 'container' | 'run'>,
  names: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string | null>> {
  const { containerId, container, run } = at;
  const argv = ['sh', '-c', PROBE, 'probe', ...names];
  const result = await runExec(docker, { containerId, container, run, argv }, signal);
  const paths = result.exitCode === 0 ? result.stdout.split('\n') : [];
  return new Map(names.map((name, index) => [name, paths[index] || null]));
}

/**
 * $1: zstd's level, the rest: the tool and its arguments. A pipe's exit code is that of its last command, and pipefail
 * is no part of sh: so the tool's own code goes through descriptor 3 into \`tool\`, while the archive goes through 4.
 * Where zstd fails the tool dies of the broken pipe: then zstd's code is the one that tells.
 * The C library writes to a pipe in pieces of 4 KiB, and the two processes wake each other for every one: where coreutils
 * are there and work, the pieces are larger (a dump takes a tenth less of the time).
 */
const COMPRESS = `
level=$1
shift
nice=
command -v nice >/dev/null 2>&1 && nice=nice
buffer=
stdbuf -o65536 true >/dev/null 2>&1 && buffer='stdbuf -o65536'
exec 4>&1
tool=$(
  { { $buffer "$@" 3>&- 4>&-; echo "$?" >&3; } | $nice zstd -q -"$level" -T2 -c >&4 3>&- 4>&-; } 3>&1
)
zstd=$?
if [ "$zstd" -ne 0 ]; then
  echo "error: zstd exited with $zstd" >&2
  exit "$zstd"
fi
exit "\${tool:-137}"`;

/**
 * The same tool with its output compressed by zstd in the container: in any POSIX shell, at low priority where nice is there,
 * on two threads at most. Exits with the tool's code (128 and its number for a signal), or with zstd's where that failed.
 * Only for containers that have sh and zstd.
 */
export function compressedArgv(
  argv: readonly string[],
  { level }: { readonly level: number },
): string[] {
  return ['sh', '-c', COMPRESS, programName(argv), String(level), ...argv];
}

/**
 * $@: the tool and its arguments. Its code is that of the pipe; zstd's goes through descriptor 3, while what the tool says
 * goes through 4. A tool that needs no more lets zstd die of the broken pipe, which is fine where the tool says so.
 */
const DECOMPRESS = `
exec 4>&1
zstd=$(
  { { zstd -q -dc 3>&- 4>&-; echo "$?" >&3; } | "$@" >&4 3>&- 4>&-; } 3>&1
)
tool=$?
if [ "$tool" -eq 0 ] && [ "\${zstd:-137}" -ne 0 ] && [ "$zstd" -ne 141 ]; then
  echo "error: zstd exited with \${zstd:-137}" >&2
  exit "\${zstd:-137}"
fi
exit "$tool"`;

/**
 * The same tool with its input decompressed by zstd in the container: in any POSIX shell. Exits with the tool's code, or
 * with zstd's where only that failed. Only for containers that have sh and zstd.
 */
export function decompressedArgv(argv: readonly string[]): string[] {
  return ['sh', '-c', DECOMPRESS, programName(argv), ...argv];
}
