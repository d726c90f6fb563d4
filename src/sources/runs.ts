import { randomBytes } from 'node:crypto';

/** The mark of a new run of a source, by which its processes and sessions are found: `<identity>/<source>/<random>`. */
export function newRun(prefix: string): string {
  return `${prefix}${randomBytes(4).toString('hex')}`;
}

/** For what only looks and holds no lock: a mark that clearing up after the dead does not reach. */
export function lookRun(prefix: string): string {
  return `look:${newRun(prefix)}`;
}

/** `<identity>/<source>/` of a run's mark. */
export function runPrefix(run: string): string {
  return run.slice(0, run.lastIndexOf('/') + 1);
}
