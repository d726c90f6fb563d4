import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { quoteName, quotePath, quoteText, schemaRenamed } from './sql.ts';

/** So begins the line of a column in a dump, and no line of rows: those have their newlines escaped. */
const COLUMN = Buffer.from('\n  `');
const NEWLINE = 0x0a;
/** No server allows a longer definition of a column. */
const LONGEST_COLUMN_BYTES = 1024 * 1024;

/**
 * Tables of a dump (MariaDB) whose columns take numbers from sequences of a schema by name: here they take them from another
 * schema, where the sequences are loaded.
 */
export async function* withSequencesIn(
  tables: AsyncIterable<Buffer>,
  schema: { readonly from: string; readonly to: string },
): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  for await (const bytes of tables) {
    const text = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    const ready: Buffer[] = [];
    let from = 0;
    for (;;) {
      const at = text.indexOf(COLUMN, from);
      const end = at === -1 ? -1 : text.indexOf(NEWLINE, at + 1);
      const isCut = at !== -1 && end === -1 && text.length - at <= LONGEST_COLUMN_BYTES;
      if (at === -1 || end === -1) {
        // What may be the beginning of a column is looked at again with what follows.
        const kept = isCut ? at : Math.max(from, text.length - (COLUMN.length - 1));
        ready.push(text.subarray(from, kept));
        held = text.subarray(kept);
        break;
      }
      const line = schemaRenamed(text.toString('latin1', at, end), schema);
      ready.push(text.subarray(from, at), Buffer.from(line, 'latin1'));
      from = end;
    }
    yield Buffer.concat(ready);
  }
  yield held;
}

/** Lets the columns of a database that took their numbers from sequences of another one take them from its own. Idempotent. */
export async function takeOwnSequences(
  connection: Connection,
  database: string,
  from: string,
  signal: AbortSignal,
): Promise<void> {
  if (connection.flavour !== 'mariadb') {
    return;
  }
  const columns = await query(
    connection,
    {
      sql: `select table_name, column_name, column_default from information_schema.columns
        where table_schema = ${quoteText(database)} and instr(column_default, ${quoteText(`${quoteName(from)}.`)}) > 0
        order by table_name, ordinal_position;`,
      code: 'restore-failed',
    },
    signal,
  );
  // All of a table at once: as long as one of them names what is gone, the table cannot be opened.
  const byTable = Map.groupBy(columns, ([table = '']) => table);
  const statements = [...byTable].map(([table, rows]) => {
    const changes = rows.map(([, column = '', value = '']) => {
      const bytes = Buffer.from(value).toString('latin1');
      const own = Buffer.from(schemaRenamed(bytes, { from, to: database }), 'latin1').toString();
      return `alter column ${quoteName(column)} set default (${own})`;
    });
    return `alter table ${quotePath(database, table)} ${changes.join(', ')};`;
  });
  if (statements.length > 0) {
    await query(connection, { sql: statements.join('\n'), code: 'restore-failed' }, signal);
  }
}
