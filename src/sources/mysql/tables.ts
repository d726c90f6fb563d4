import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { OURS, type Characters } from './marks.ts';
import { quoteName, quoteText } from './sql.ts';

/** The statement that makes a database. */
export function createDatabase(name: string, { characterSet, collation }: Characters): string {
  return `create database ${quoteName(name)} character set ${characterSet} collate ${collation};`;
}

/** The statement that gives a database its character set. */
export function charactersStatement(name: string, { characterSet, collation }: Characters): string {
  return `alter database ${quoteName(name)} character set ${characterSet} collate ${collation};`;
}

/** Tables and sequences of a database but ours. */
export async function baseTables(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const names = await allTables(connection, database, signal);
  return names.filter((name) => !name.startsWith(OURS));
}

/** Tables and sequences of a database. */
export async function allTables(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const rows = await query(
    connection,
    {
      sql: `select table_name from information_schema.tables where table_schema = ${quoteText(database)}
        and table_type <> 'VIEW' order by table_name;`,
      code: 'restore-failed',
    },
    signal,
  );
  return rows.map(([table = '']) => table);
}

/**
 * Those that MySQL refuses to move, or lock, together with others where it writes GTIDs (ER_GTID_UNSAFE_NON_TRANSACTIONAL_TABLE):
 * tables of engines without transactions.
 */
export async function tablesApart(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (connection.flavour !== 'mysql') {
    return [];
  }
  const rows = await query(
    connection,
    {
      sql: `select table_name from information_schema.tables where table_schema = ${quoteText(database)} and table_type = 'BASE TABLE'
        and @@global.gtid_mode <> 'OFF'
        and engine not in (select engine from information_schema.engines where transactions = 'YES') order by table_name;`,
      code: 'restore-failed',
    },
    signal,
  );
  return rows.map(([table = '']) => table);
}
