import { pipeline, Transform, type Readable } from 'node:stream';
import { BackupdError, toError } from '../core/errors.ts';
import { toolFailure, type FailedTool } from './exec-failure.ts';
import type { ExecProcess } from './exec.ts';

/** What a stream is judged by. */
export interface Verdict extends FailedTool {
  /** Whether another exit code than 0 is none of a failure; asked only after all of stderr was seen. Default: none is. */
  readonly accepts?: (exitCode: number) => boolean;
}

const BUFFERED_BYTES = 256 * 1024;

/**
 * The stdout of a process as a verdict: ends only after that exited with 0 (or what is accepted); otherwise it is destroyed with a BackupdError of the
 * given code that names tool, container, exit code, and what it said. Takes stdout over; destroying it ends the process.
 * Errors of the process's own (the signal's reason, `timeout`) come through as they are.
 */
export function verdictStream(process: ExecProcess, of: Verdict): Readable {
  const verdict = new Transform({
    highWaterMark: BUFFERED_BYTES,
    transform(chunk, _encoding, callback) {
      callback(null, chunk);
    },
    flush(tell) {
      void judge(process, of).then(tell);
    },
    destroy(reason, tell) {
      process.stdout.destroy(reason ?? undefined);
      // Not closed before the process is dead.
      void Promise.allSettled([process.exited]).then(() => tell(inCodeOf(of, reason)));
    },
  });
  pipeline(process.stdout, verdict, () => {
    // The verdict carries every error on.
  });
  return verdict;
}

/** From the moment the tool ran, that Docker is away is the tool's failure. */
function inCodeOf(of: FailedTool, reason: Error | null): Error | null {
  return reason instanceof BackupdError && reason.code === 'target-unavailable'
    ? new BackupdError(of.code, reason.message, { hint: reason.hint ?? '', cause: reason })
    : reason;
}

/** Null where it exited as it should. */
async function judge(process: ExecProcess, of: Verdict): Promise<Error | null> {
  try {
    const exit = await process.exited;
    const { exitCode } = exit;
    const isGood = exitCode === 0 || (exitCode !== null && of.accepts?.(exitCode) === true);
    return isGood ? null : toolFailure(of, exit, process.stderr.text());
  } catch (error) {
    return toError(error);
  }
}
