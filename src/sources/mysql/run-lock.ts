import { BackupdError } from '../../core/errors.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { quoteText } from './sql.ts';

/** Longer than any statement of a swap waits for a lock. */
const WAIT_S = 120;

/** The statement by which the session that swaps holds its run, for as long as the server works for it, whatever became of its client. */
export function holdRun(run: string): string {
  return `do get_lock(${nameOf(run)}, 0);`;
}

/**
 * Waits until no session of a run is left in the server: only then does a look at the tables tell the truth.
 * @throws BackupdError `restore-failed` where one does not end
 */
export async function waitForRun(
  connection: Connection,
  run: string,
  signal: AbortSignal,
): Promise<void> {
  const sql = `select ifnull(get_lock(${nameOf(run)}, ${WAIT_S}), 0);`;
  const [[isFree] = []] = await query(connection, { sql, code: 'restore-failed' }, signal);
  if (isFree !== '1') {
    throw new BackupdError(
      'restore-failed',
      `the server in "${connection.container}" still works on the swap that was interrupted`,
      { hint: 'End what holds locks on the tables, then run the command again.' },
    );
  }
}

/** At most 64 characters. */
function nameOf(run: string): string {
  return quoteText(`backupd:${run}`);
}
