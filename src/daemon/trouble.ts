import { toFailure, type Failure } from '../core/errors.ts';

/** A failure as fields of a log entry. */
export function failureFields({ code, message, hint }: Failure): Readonly<Record<string, unknown>> {
  return { code, error: message, hint };
}

/** Anything thrown as fields of a log entry; a bug with its stack. */
export function troubleFields(thrown: unknown): Readonly<Record<string, unknown>> {
  const failure = toFailure(thrown);
  const isBug = failure.code === 'internal' && thrown instanceof Error;
  return { ...failureFields(failure), ...(isBug ? { stack: thrown.stack } : {}) };
}
