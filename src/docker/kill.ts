import type Docker from 'dockerode';
import type { Readable } from 'node:stream';
import { BackupdError, toError } from '../core/errors.ts';
import { dockerStatus } from './call.ts';
import { openChannel, readExit, type ChannelRequest, type ExecChannel } from './channel.ts';
import { demultiplex, StreamCut } from './demux.ts';
import { stderrTail } from './stderr-tail.ts';

/** In the environment of every process we start, and of all that it starts in turn: the run it belongs to. */
export const RUN_VARIABLE = 'BACKUPD_RUN';
/** The same for one exec alone. */
export const EXEC_VARIABLE = 'BACKUPD_EXEC';

/** Where to look. */
export interface KillPlace {
  readonly containerId: string;
  /** For messages; the id where it is not known. */
  readonly container?: string;
  /** Whose processes; default: the container's default user. */
  readonly user?: string | null;
}

/** Which processes: of one run, of all runs whose mark begins so, or of one exec. */
export type KillWhat =
  | { readonly run: string }
  | { readonly prefix: string }
  | { readonly exec: string };

/**
 * Finds processes by their environment, in any POSIX shell, without ps, pkill, or anything to write to.
 * $1: the variable with its value, $2: "prefix" where the value may go on. One pass every tenth of a second, ten with TERM,
 * ten with KILL, and ten at last with KILL for all at once. What a process starts meanwhile is found by the next pass.
 * An environ that cannot be opened is another user's, whose process is none of ours; one of a zombie is empty.
 *
 * Children first, and a process only when it has none left, zombies counted: a child that outlives its parent falls to the
 * first process of the container, and where that is PostgreSQL (up to 17) it takes the child's death by a signal for a crash
 * of its own server and restarts (measured). Stopped while we look again, a process cannot have a new child. One that never
 * is without a child, since it starts the next as soon as one has died, only ends with all its children at once.
 */
const SCRIPT = `
command -v tr >/dev/null && command -v sleep >/dev/null || { echo 'no tr or no sleep' >&2; exit 3; }
nl='
'
end=$nl
[ "$2" != prefix ] || end=
scan() {
  found=
  parents=' '
  for dir in /proc/[0-9]*; do
    environ=
    { environ=$(tr '\\000' '\\n'); } 2>/dev/null <"$dir/environ" || continue
    case "$nl$environ$nl" in
      *"$nl$1$end"*) found="$found \${dir#/proc/}" ;;
      "$nl$nl") ;;
      *) continue ;;
    esac
    while read -r key value; do
      [ "$key" != PPid: ] || parents="$parents$value "
    done 2>/dev/null <"$dir/status" || :
  done
}
end_leaves() {
  leaves=
  for pid in $found; do
    case "$parents" in *" $pid "*) continue ;; esac
    leaves="$leaves $pid"
    kill -STOP "$pid" 2>/dev/null || :
  done
  scan "$2"
  for pid in $leaves; do
    case "$parents" in
      *" $pid "*) ;;
      *) kill -"$1" "$pid" 2>/dev/null || : ;;
    esac
    kill -CONT "$pid" 2>/dev/null || :
  done
}
pass=0
while :; do
  scan "$1"
  [ -n "$found" ] || exit 0
  pass=$((pass + 1))
  if [ "$pass" -le 10 ]; then
    end_leaves TERM "$1"
  elif [ "$pass" -le 20 ]; then
    end_leaves KILL "$1"
  elif [ "$pass" -le 30 ]; then
    kill -KILL $found 2>/dev/null || :
  else
    echo "still there:$found" >&2
    exit 4
  fi
  sleep 0.1 2>/dev/null || sleep 1
done`;

/**
 * Ends processes of ours in a container and resolves once they are gone. A container that is gone or does not run has none.
 * @throws BackupdError `target-unavailable` where they cannot be looked for or do not die.
 */
export async function killRun(
  docker: Docker,
  at: KillPlace,
  what: KillWhat,
  signal: AbortSignal,
): Promise<void> {
  const request: ChannelRequest = {
    containerId: at.containerId,
    container: at.container ?? at.containerId.slice(0, 12),
    argv: ['sh', '-c', SCRIPT, 'sh', ...markOf(what)],
    env: {},
    user: at.user ?? null,
    hasStdin: false,
  };
  let channel: ExecChannel;
  try {
    channel = await openChannel(docker, request, () => {}, signal);
  } catch (error) {
    if (isNotRunning(error)) {
      return;
    }
    throw error;
  }
  await finish(docker, channel, request, signal);
}

function markOf(what: KillWhat): readonly [string, 'whole' | 'prefix'] {
  if ('run' in what) {
    return [`${RUN_VARIABLE}=${what.run}`, 'whole'];
  }
  return 'prefix' in what
    ? [`${RUN_VARIABLE}=${what.prefix}`, 'prefix']
    : [`${EXEC_VARIABLE}=${what.exec}`, 'whole'];
}

/** Docker says 409 of a paused container too, and that one has processes that live on. */
function isNotRunning(error: unknown): boolean {
  const status = dockerStatus(error);
  return (
    status === 404 ||
    (status === 409 && error instanceof BackupdError && !/paused/i.test(error.message))
  );
}

async function finish(
  docker: Docker,
  channel: ExecChannel,
  request: ChannelRequest,
  signal: AbortSignal,
): Promise<void> {
  const stderr = stderrTail();
  const stdout = demultiplex(channel.socket, { onStderr: stderr.push });
  function onAbort(): void {
    stdout.destroy(toError(signal.reason));
  }
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const said = await readToEnd(stdout);
    const exit = await readExit(docker, channel, request, signal);
    if (exit.exitCode !== 0 && !exit.ending.startsWith('container-')) {
      const words = `${stderr.text()} ${said}`.trim() || `exit code ${exit.exitCode ?? 'unknown'}`;
      throw new BackupdError(
        'target-unavailable',
        `cannot end processes in container "${request.container}": ${words}`,
        {
          hint: 'Restart the container to end what runs there. To do it itself, backupd needs sh, tr and sleep in the image.',
        },
      );
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Nothing is said on stdout but by Docker itself, where it could not start the shell. */
async function readToEnd(stdout: Readable): Promise<string> {
  try {
    return Buffer.concat((await stdout.toArray()) as Buffer[]).toString('utf8');
  } catch (error) {
    if (error instanceof StreamCut) {
      // How the process ended, which is asked next, says what that means.
      return '';
    }
    throw error;
  }
}
