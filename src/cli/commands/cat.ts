import { pipeline } from 'node:stream/promises';
import { FAILURES } from '../../core/errors.ts';
import { openBackupFile } from '../../jobs/cat.ts';
import type { App } from '../../jobs/context.ts';
import type { CommandOf } from '../arguments.ts';
import type { Output } from '../output.ts';

/**
 * `cat`: a file of a backup on stdout, plain. Fails when anything was wrong with it, also after bytes were written;
 * where the reader of stdout goes away before the end nothing is known of the rest, and that is no success either.
 */
export async function catCommand(
  { id, file }: CommandOf<'cat'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const plain = await openBackupFile(id, file, app, signal);
  try {
    await pipeline(plain, out.stdout, { end: false, signal });
  } catch (error) {
    // `cat | head` has what it wanted: nothing to report.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') {
      return FAILURES.cancelled.exitCode;
    }
    throw error;
  }
  return 0;
}
