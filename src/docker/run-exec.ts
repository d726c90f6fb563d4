import type Docker from 'dockerode';
import type { Readable } from 'node:stream';
import { BackupdError, toError } from '../core/errors.ts';
import type { ExecExit } from './channel.ts';
import { programName } from './exec-failure.ts';
import { startExec, type ExecRequest } from './exec.ts';

const DEFAULT_MAX_BYTES = 16 * 1024 * 1024;

/** What a process gave that ran to its end. */
export interface ExecResult extends ExecExit {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a process in a container to its end and keeps what it printed; exit codes are the caller's to judge.
 * @throws BackupdError `target-unavailable` where it cannot be started or its output is cut, `internal` where that is more than `maxBytes`.
 */
export async function runExec(
  docker: Docker,
  request: ExecRequest,
  signal: AbortSignal,
): Promise<ExecResult> {
  const hasInput = request.input !== undefined;
  const process = await startExec(
    docker,
    { ...request, idleMs: request.idleMs ?? 0, ...(hasInput ? { stdin: 'pipe' } : {}) },
    signal,
  );
  process.stdin?.end(request.input);
  const output: Buffer[] = [];
  const cut = await collect(process.stdout, output, request);
  const exit = await process.exited;
  // A process that fails before it has read its input breaks the connection; its exit code says more than that.
  if (cut !== null && (exit.exitCode === 0 || exit.exitCode === null)) {
    throw cut;
  }
  const stdout = Buffer.concat(output).toString(request.encoding ?? 'utf8');
  return { ...exit, stdout, stderr: process.stderr.text() };
}

/** Reads all into `output`; resolves with the error where the stream was destroyed. */
async function collect(
  stdout: Readable,
  output: Buffer[],
  request: ExecRequest,
): Promise<Error | null> {
  const maxBytes = request.maxBytes ?? DEFAULT_MAX_BYTES;
  let bytes = 0;
  try {
    for await (const chunk of stdout as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        stdout.destroy(tooMuch(request, maxBytes));
      } else {
        output.push(chunk);
      }
    }
    return null;
  } catch (error) {
    return toError(error);
  }
}

function tooMuch(request: ExecRequest, maxBytes: number): BackupdError {
  return new BackupdError(
    'internal',
    `${programName(request.argv)} in container "${request.container}" printed more than ${maxBytes} bytes`,
  );
}
