import { BackupdError } from '../core/errors.ts';

/**
 * A source says `dump-failed` where its server refuses a login or a query, since mostly it dumps. Where nothing is dumped
 * it is the target that cannot be used.
 */
export async function asTargetFailure<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof BackupdError && error.code === 'dump-failed'
      ? new BackupdError('target-unavailable', error.message, {
          ...(error.hint === null ? {} : { hint: error.hint }),
          cause: error,
        })
      : error;
  }
}
