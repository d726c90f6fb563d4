import type { JournalState, Previous } from '../../core/restorer.ts';
import { killRun } from '../../docker/kill.ts';
import { discardBeside } from './beside.ts';
import { runPrefix } from '../runs.ts';
import { applicationPrefix, type Connection } from './connection.ts';
import { runSql } from './session.ts';
import { quoteLiteral } from './sql.ts';
import { isSwapped, previousOf, restoreRenames, undoRenames } from './swap.ts';
import { undone } from './undo.ts';

/** How long a statement of a dead process may still run in the server before we look at what it did. */
const SETTLE_MS = 20_000;

/** Finishes or reverses what a dead process left: the databases' names say which side of the commit it was on. */
export async function resumeRestore(
  connection: Connection,
  state: JournalState,
  signal: AbortSignal,
): Promise<Previous | null> {
  // A client that was cut off in the middle of its script waits for the rest for ever, and its session with it.
  const { docker, containerId, container, run } = connection;
  await killRun(docker, { containerId, container }, { prefix: runPrefix(run) }, signal);
  await settleSessions(connection, signal);
  switch (state.step) {
    case 'building':
      await discardBeside(connection, state.run, signal);
      return null;
    case 'swapping':
      if (await isSwapped(connection, { renames: restoreRenames(state.beside) }, signal)) {
        return previousOf(state.beside, state.source, new Date().toISOString());
      }
      await discardBeside(connection, state.beside.run, signal);
      return null;
    case 'undoing': {
      const renames = undoRenames(state.previous.databases, state.keptAs);
      return (await isSwapped(connection, { renames }, signal))
        ? undone(state.previous, state.keptAs, state.run)
        : null;
    }
  }
}

/**
 * Ends everything this source left in the server and waits until it is gone: only then does a look at the names tell the
 * truth. A swap that was sent comes to its own end within seconds, whatever became of its client.
 */
async function settleSessions(connection: Connection, signal: AbortSignal): Promise<void> {
  const prefix = quoteLiteral(applicationPrefix(runPrefix(connection.run)));
  const others = `starts_with(application_name, ${prefix})
    and not starts_with(application_name, ${quoteLiteral(connection.applicationName)})`;
  const sql = `do $backupd$
declare until timestamptz := clock_timestamp() + interval '${SETTLE_MS} milliseconds';
begin
  perform pg_terminate_backend(pid) from pg_stat_activity where ${others} and application_name not like '%:swap';
  while clock_timestamp() < until loop
    perform pg_stat_clear_snapshot();
    exit when not exists (select from pg_stat_activity where ${others});
    perform pg_sleep(0.05);
  end loop;
end $backupd$;`;
  await runSql(
    connection,
    { database: connection.maintenanceDatabase, sql, code: 'restore-failed' },
    signal,
  );
}
