/** How long what failed is left alone: `leastMs` after the first failure, twice as long after each further one. */
export interface BackOff {
  readonly leastMs: number;
  readonly mostMs: number;
}

/** @param failures in a row, from 1 */
export function backOffMs(failures: number, { leastMs, mostMs }: BackOff): number {
  return Math.min(mostMs, leastMs * 2 ** Math.max(0, failures - 1));
}
