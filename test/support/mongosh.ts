import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** The vendor's own shell, which stays: starting it takes longer than most of what it is asked. */
export interface Mongosh {
  /**
   * Runs JavaScript as the body of a function in which `m` is the server and `db` its database `shop`; what it returns, as JSON. No comments.
   * @throws Error with what the shell said
   */
  run(script: string): Promise<unknown>;
  close(): void;
}

type Shell = ChildProcessByStdio<Writable, Readable, Readable>;

/** Begins every line that is an answer. */
const ANSWER = '@@answer ';
const CONNECT = `const m = connect('mongodb://' + encodeURIComponent(process.env.WHO) + ':' + encodeURIComponent(process.env.WHAT) + '@127.0.0.1/admin').getMongo(); db = m.getDB('shop');`;

/** Starts it when it is needed, and anew where it ended. */
export function mongosh(
  container: string,
  login: { readonly user: string; readonly password: string },
): Mongosh {
  let shell: Shell | null = null;
  let queue: Promise<unknown> = Promise.resolve();

  function start(): Shell {
    const env = ['--env', `WHO=${login.user}`, '--env', `WHAT=${login.password}`];
    const argv = ['exec', '-i', ...env, container, 'mongosh', '--quiet', '--norc', '--nodb'];
    const started = spawn('docker', argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    started.stdin.on('error', () => undefined);
    started.once('close', () => {
      shell = shell === started ? null : shell;
    });
    started.stdin.write(`${CONNECT}\n`);
    return started;
  }

  async function ask(script: string): Promise<unknown> {
    shell ??= start();
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const said: string[] = [];
    const asked = shell;
    const lines = createInterface({ input: asked.stdout });
    lines.on('line', (line) => {
      const at = line.indexOf(ANSWER);
      if (at === -1) {
        said.push(line);
      } else {
        resolve(line.slice(at + ANSWER.length));
      }
    });
    function onClose(): void {
      reject(new Error(`mongosh ended: ${said.join('\n')}`));
    }
    asked.once('close', onClose);
    // It reads line by line, and waits for what is a promise only in what it reads.
    const body = script.replaceAll('\n', ' ');
    asked.stdin.write(
      `try { const value = (() => { ${body} })(); print('${ANSWER}' + JSON.stringify({ value: value ?? null })); } catch (error) { print('${ANSWER}' + JSON.stringify({ failed: String(error) })); }\n`,
    );
    const answer = JSON.parse(await promise) as {
      readonly value?: unknown;
      readonly failed?: string;
    };
    lines.close();
    asked.off('close', onClose);
    if (answer.failed !== undefined) {
      throw new Error(`mongosh: ${answer.failed}`);
    }
    return answer.value;
  }

  return {
    async run(script) {
      const answer = queue.then(async () => ask(script));
      queue = answer.catch(() => null);
      return answer;
    },
    close() {
      shell?.kill();
    },
  };
}
