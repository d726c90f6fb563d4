import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface TerminalOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What somebody types once they are asked. */
  readonly answer?: { readonly to: string; readonly type: string };
}

export interface TerminalResult {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  /** stdout and stderr together, as a terminal shows them. */
  readonly screen: string;
}

/** `docker exec -it CONTAINER ARGS` on a terminal of its own, as a person runs it. */
export async function execOnTerminal(
  container: string,
  args: readonly string[],
  { env = {}, answer }: TerminalOptions = {},
): Promise<TerminalResult> {
  const [program = '', ...more] = terminalCommand(container, args, env);
  const child = spawn(program, more, { stdio: ['pipe', 'pipe', 'inherit'] });
  let screen = '';
  let answered = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
    if (answer !== undefined && !answered && screen.includes(answer.to)) {
      answered = true;
      child.stdin.write(answer.type);
    }
  });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, screen };
}

/** The command line of it. */
export function terminalCommand(
  container: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): readonly string[] {
  const variables = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  const argv = ['docker', 'exec', '--interactive', '--tty', ...variables, container, ...args];
  // A shell runs it, which `exec` keeps from staying in between.
  return ['script', '--quiet', '--return', '--command', `exec ${quote(argv)}`, '/dev/null'];
}

function quote(argv: readonly string[]): string {
  return argv.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');
}
