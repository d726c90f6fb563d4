import { docker } from './run-process.ts';
import { waitFor } from './wait-for.ts';

/** What Node runs in the image. */
export const PROGRAM = '/opt/backupd/dist/main.js';

/** Command lines of all processes in a container but zombies, as the host sees them: whatever the container can do. */
export async function commandsIn(container: string): Promise<readonly string[]> {
  const [, ...lines] = (await docker('top', container, '-eo', 'pid,stat,args')).split('\n');
  return lines
    .map((line) => /^\s*\d+\s+(\S+)\s+(.*)$/.exec(line))
    .filter((row) => row?.[1]?.startsWith('Z') === false)
    .map((row) => row?.[2] ?? '');
}

/** Whether a process of the container has this text in its command line, now. */
export async function doesRun(container: string, text: string): Promise<boolean> {
  return (await commandsIn(container)).some((command) => command.includes(text));
}

/** Waits until a process of the container has this text in its command line. */
export async function untilRuns(container: string, text: string): Promise<void> {
  await waitFor(`process "${text}"`, async () => doesRun(container, text));
}

/**
 * Sends a signal to every process of the container whose command line begins with this pattern of the shell, with whatever
 * tools the container has. @throws Error where there is none
 */
export async function killIn(
  container: string,
  beginning: string,
  signal: 'KILL' | 'INT' | 'TERM' | 'HUP' = 'KILL',
): Promise<void> {
  const script = `
    found=
    for dir in /proc/[0-9]*; do
      case "$(tr '\\000' ' ' <"$dir/cmdline")" in $1*) found=1; kill -s "$2" "\${dir#/proc/}" ;; esac
    done
    [ -n "$found" ] || { echo "nothing runs as $1" >&2; exit 1; }`;
  await docker('exec', '--user', 'root', container, 'sh', '-c', script, 'sh', beginning, signal);
}
