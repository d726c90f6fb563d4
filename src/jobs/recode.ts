import { BackupdError } from '../core/errors.ts';

/**
 * A source says `dump-failed` where its server refuses a login or a query, since mostly it dumps. Where nothing is dumped
 * that is a failure of another kind.
 */
export async function recodeDumpFailed<T>(
  code: 'target-unavailable' | 'restore-failed',
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof BackupdError && error.code === 'dump-failed'
      ? new BackupdError(code, error.message, {
          ...(error.hint === null ? {} : { hint: error.hint }),
          cause: error,
        })
      : error;
  }
}
