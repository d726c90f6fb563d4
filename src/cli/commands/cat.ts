import { FAILURES } from '../../core/errors.ts';
import { copyBackupFile } from '../../jobs/cat.ts';
import type { App } from '../../jobs/context.ts';
import type { CommandOf } from '../arguments.ts';
import { notWritten } from '../failure-text.ts';
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
  try {
    await copyBackupFile({ id, file, to: out.stdout }, app, signal);
  } catch (error) {
    const { syscall, code } = error as NodeJS.ErrnoException;
    // The file is only read: whatever could not be written is the result.
    if (syscall !== 'write') {
      throw error;
    }
    if (code !== 'EPIPE') {
      throw notWritten(error as NodeJS.ErrnoException);
    }
    // `cat | head` has what it wanted: nothing to report.
    return FAILURES.cancelled.exitCode;
  }
  return 0;
}
