/**
 * Every way backupd can fail, by the word that users see in JSON, logs and metrics, and its exit code.
 * Codes and numbers are a contract: never reused, never renumbered.
 */
export const FAILURES = {
  internal: { exitCode: 1, retryable: false },
  usage: { exitCode: 2, retryable: false },
  'config-invalid': { exitCode: 3, retryable: false },
  unhealthy: { exitCode: 4, retryable: false },
  'backup-not-found': { exitCode: 10, retryable: false },
  locked: { exitCode: 11, retryable: true },
  'key-wrong': { exitCode: 12, retryable: false },
  'archive-corrupt': { exitCode: 13, retryable: false },
  'format-unsupported': { exitCode: 14, retryable: false },
  'key-missing': { exitCode: 15, retryable: false },
  'source-not-found': { exitCode: 16, retryable: false },
  'nothing-to-undo': { exitCode: 17, retryable: false },
  'target-unavailable': { exitCode: 20, retryable: true },
  'dump-failed': { exitCode: 21, retryable: true },
  'restore-failed': { exitCode: 22, retryable: false },
  'verification-failed': { exitCode: 23, retryable: false },
  'target-in-use': { exitCode: 24, retryable: true },
  timeout: { exitCode: 25, retryable: true },
  'destination-unavailable': { exitCode: 30, retryable: true },
  'destination-denied': { exitCode: 31, retryable: false },
  'retrieval-pending': { exitCode: 32, retryable: true },
  'no-space': { exitCode: 40, retryable: true },
  'storage-unavailable': { exitCode: 41, retryable: true },
  cancelled: { exitCode: 130, retryable: false },
} as const satisfies Record<string, { readonly exitCode: number; readonly retryable: boolean }>;

export type FailureCode = keyof typeof FAILURES;

/**
 * A failure we foresaw: shown as `error: message` and `hint: hint`, without a stack.
 * The message is lower case, without full stop, and names the thing and the fact; the hint says in full sentences
 * what to do. Neither ever holds a secret.
 */
export class BackupdError extends Error {
  override readonly name = 'BackupdError';
  readonly code: FailureCode;
  readonly hint: string | null;

  constructor(
    code: FailureCode,
    message: string,
    options: { hint?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? null;
  }
}

/** What JSON output and the record of attempts say of a failure. */
export interface Failure {
  readonly code: FailureCode;
  readonly message: string;
  readonly hint: string | null;
}

/** The failure to report for anything that was thrown; what we did not foresee is `internal`. */
export function toFailure(thrown: unknown): Failure {
  if (thrown instanceof BackupdError) {
    return { code: thrown.code, message: thrown.message, hint: thrown.hint };
  }
  if (isAbort(thrown)) {
    return { code: 'cancelled', message: 'cancelled', hint: null };
  }
  if (isTimeout(thrown)) {
    return { code: 'timeout', message: 'it took too long and was given up', hint: null };
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return {
    code: 'internal',
    message,
    hint: 'This is a bug in backupd. Please report it with the log of this run.',
  };
}

/** Whether this is the error that an AbortSignal without a reason of ours raises. */
export function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'AbortError';
}

/** Whether this is the reason of a limit, `AbortSignal.timeout`. */
function isTimeout(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'TimeoutError';
}

/** Whatever was thrown, or given as the reason of a signal, as an error. */
export function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
