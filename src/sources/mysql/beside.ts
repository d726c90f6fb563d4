import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { listDatabases, type DatabaseRow } from './databases.ts';
import { readMadeAccounts } from './marks.ts';
import { besideMark, besideName, BESIDE_PREFIX } from './names.ts';
import { dropAccounts } from './restore-users.ts';
import { quoteName, quotePath, quoteText } from './sql.ts';

/** Drops what a restore loaded beside; one that died before it could mark a database is told by the name. */
export async function discardBeside(
  connection: Connection,
  run: string,
  signal: AbortSignal,
): Promise<void> {
  const prefix = besideName(run, 0).slice(0, -1);
  for (const row of await listDatabases(connection, 'restore-failed', signal)) {
    const isOurs = row.beside === besideMark(connection, run);
    if (isOurs || (row.beside === null && row.name.startsWith(prefix))) {
      await dropBeside(connection, row, signal);
    }
  }
}

/** Drops what dead restores of this source left beside. The caller holds the source's lock, and no journal is open. */
export async function dropLeftBeside(
  connection: Connection,
  rows: readonly DatabaseRow[],
  signal: AbortSignal,
): Promise<void> {
  for (const row of rows) {
    const isOurs = row.beside?.startsWith(besideMark(connection, '')) === true;
    if (row.name.startsWith(BESIDE_PREFIX) && isOurs) {
      await dropBeside(connection, row, signal);
    }
  }
}

async function dropBeside(
  connection: Connection,
  { name, beside }: DatabaseRow,
  signal: AbortSignal,
): Promise<void> {
  if (beside !== null) {
    await dropAccounts(connection, await readMadeAccounts(connection, name, signal), signal);
  }
  const sql = `drop database if exists ${quoteName(name)};`;
  await query(connection, { sql, code: 'restore-failed' }, signal);
}

/** Drops all in a database that is no table. */
export async function clearBeside(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): Promise<void> {
  const own = `= ${quoteText(database)}`;
  const rows = await query(
    connection,
    {
      sql: `
        select 'trigger', trigger_name from information_schema.triggers where trigger_schema ${own};
        select 'view', table_name from information_schema.views where table_schema ${own};
        select routine_type, routine_name from information_schema.routines where routine_schema ${own} and routine_type <> 'PACKAGE BODY';`,
      code: 'restore-failed',
    },
    signal,
  );
  const sql = rows
    .map(([kind = '', name = '']) => `drop ${kind} ${quotePath(database, name)};`)
    .join('\n');
  if (sql !== '') {
    await query(connection, { sql, code: 'restore-failed' }, signal);
  }
}
