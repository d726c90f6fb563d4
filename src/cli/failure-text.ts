import { BackupdError, FAILURES, toFailure, type Failure } from '../core/errors.ts';
import type { Line } from './text.ts';

/** What is reported of anything that was thrown; after a signal asked to stop, stopping is what happened. */
export function failureOf(thrown: unknown, signal: AbortSignal): Failure {
  const failure = toFailure(thrown);
  if (!signal.aborted || failure.code === 'cancelled') {
    return failure;
  }
  return failure.code === 'internal'
    ? { code: 'cancelled', message: 'cancelled', hint: null }
    : { ...failure, code: 'cancelled', message: `cancelled: ${failure.message}` };
}

/** `error: ...` and `hint: ...`. */
export function failureLines({ message, hint }: Omit<Failure, 'code'>): readonly Line[] {
  return [
    ...paragraph({ text: 'error: ', format: 'red' }, message),
    ...(hint === null ? [] : paragraph({ text: 'hint: ', format: 'cyan' }, hint)),
  ];
}

/** What can be done about something. */
export function hintLine(hint: string): Line {
  return [{ text: 'hint: ', format: 'cyan' }, hint];
}

/** What a report of a bug needs: where it was thrown, and in which version. */
export function bugLines(thrown: unknown, version: string): readonly Line[] {
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return [
    ...stack.split('\n').map((line): Line => ({ text: line, format: 'dim' })),
    { text: `backupd ${version}, Node ${process.version}`, format: 'dim' },
  ];
}

/** The one line that `--json` prints of a command that could not run. */
export function failureJson(failure: Failure): string {
  return JSON.stringify({ error: { ...failure, exitCode: exitCodeOf(failure) } });
}

export function exitCodeOf(failure: Pick<Failure, 'code'>): number {
  return FAILURES[failure.code].exitCode;
}

/** What to report where the result itself could not be written. */
export function notWritten(error: NodeJS.ErrnoException): BackupdError {
  const full = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  return new BackupdError(
    full ? 'no-space' : 'internal',
    `the result could not be written to standard output: ${error.message}`,
    { hint: 'Free space where the output goes, or send it elsewhere.', cause: error },
  );
}

/** Of several outcomes: the exit code of the first failure, 0 where there is none. */
export function firstExitCode(failures: Iterable<Pick<Failure, 'code'> | null>): number {
  for (const failure of failures) {
    if (failure !== null) {
      return exitCodeOf(failure);
    }
  }
  return 0;
}

/** Further lines of a message are indented, so that none can look like the beginning of another. */
function paragraph(label: Exclude<Line, readonly unknown[]>, text: string): readonly Line[] {
  const [first = '', ...more] = text.split('\n');
  return [[label, first], ...more.map((line): Line => `  ${line}`)];
}
