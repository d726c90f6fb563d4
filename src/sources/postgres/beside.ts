import { runPrefix } from '../runs.ts';
import type { Connection } from './connection.ts';
import { besideMark, listDatabases, type DatabaseRow } from './databases.ts';
import { runSql } from './session.ts';
import { quoteIdent, quoteLiteral } from './sql.ts';

/** Drops what a restore loaded beside; one that died before it could mark a database is told by the name. */
export async function discardBeside(
  connection: Connection,
  run: string,
  signal: AbortSignal,
): Promise<void> {
  for (const row of await listDatabases(connection, 'restore-failed', signal)) {
    if (
      row.beside === besideMark(runPrefix(connection.run), run) ||
      (row.beside === null && row.name.startsWith(`backupd_${run.toLowerCase()}_`))
    ) {
      await dropDatabase(connection, row.name, signal);
    }
  }
}

/** Drops what dead restores of this source left beside. The caller holds the source's lock. */
export async function dropLeftBeside(
  connection: Connection,
  rows: readonly DatabaseRow[],
  signal: AbortSignal,
): Promise<void> {
  for (const row of rows) {
    if (row.beside?.startsWith(runPrefix(connection.run)) === true) {
      await dropDatabase(connection, row.name, signal);
    }
  }
}

/** Drops a database for good, sessions in it or not. */
export async function dropDatabase(
  connection: Connection,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const quoted = quoteIdent(name);
  // A template cannot be dropped, and the properties of an archive may have made it one. What an interrupted DROP left can
  // only be dropped.
  const sql = `
    select format('alter database %I with is_template false', datname) from pg_database
      where datname = ${quoteLiteral(name)} and datistemplate \\gexec
    drop database ${quoted} with (force);`;
  await runSql(
    connection,
    {
      database:
        connection.maintenanceDatabase === name ? 'template1' : connection.maintenanceDatabase,
      sql,
      code: 'restore-failed',
    },
    signal,
  );
}
