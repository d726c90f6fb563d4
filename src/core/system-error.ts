/** An error that the operating system raised, through Node. */
export interface SystemError extends Error {
  readonly code: string;
  readonly errno: number;
}

export function isSystemError(thrown: unknown): thrown is SystemError {
  return (
    thrown instanceof Error &&
    'code' in thrown &&
    typeof thrown.code === 'string' &&
    'errno' in thrown &&
    typeof thrown.errno === 'number'
  );
}

/** Whether the operating system raised this error with one of these codes: `hasErrorCode(error, 'ENOENT')`. */
export function hasErrorCode(thrown: unknown, ...codes: readonly string[]): boolean {
  return isSystemError(thrown) && codes.includes(thrown.code);
}
