import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface ProcessResult {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

export interface ProcessOptions {
  /** Written to stdin, which is closed then; without it stdin is empty. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Runs a program to its end, whatever that is. @throws Error where it cannot be started, or `signal` is aborted. */
export async function runProcess(
  argv: readonly string[],
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  const startedAt = performance.now();
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    signal: options.signal,
  });
  // A program that ends without reading its input is judged by its exit code.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const { promise: ended, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', resolve);
  const [stdout, stderr, exitCode] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    ended,
  ]);
  return { exitCode, stdout, stderr, durationMs: performance.now() - startedAt };
}

/** What `docker ARGS` printed, without the last line end. @throws Error with its stderr when it failed. */
export async function docker(...args: readonly string[]): Promise<string> {
  const result = await runProcess(['docker', ...args]);
  if (result.exitCode !== 0) {
    throw new Error(`docker ${args.join(' ')} ended with ${result.exitCode}: ${result.stderr}`);
  }
  return result.stdout.replace(/\n$/, '');
}
