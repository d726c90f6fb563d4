import type { FailureCode } from '../../core/errors.ts';
import { query, type Connection } from './connection.ts';
import { quoteName, quoteText } from './sql.ts';

/** A database (a schema) of a server. */
export interface DatabaseRow {
  readonly name: string;
  readonly characterSet: string;
  readonly collation: string;
}

/** What is in a database, as far as a dump has to know it before it begins. */
export interface Contents {
  readonly views: readonly string[];
  /** Views that cannot be read, with what they were made of and why. A dump that meets one breaks off. */
  readonly brokenViews: readonly {
    readonly name: string;
    readonly definition: string;
    readonly why: string;
  }[];
  /** Tables whose engine has no transactions: what they hold is not of the dump's one moment. */
  readonly unsafeTables: readonly string[];
  /** What its data and indexes take on the disk, by the server's own estimate. */
  readonly sizeBytes: number;
}

/** Theirs, not the user's. */
const SYSTEM = ['information_schema', 'mysql', 'performance_schema', 'sys'];

/** The databases that users made; by name. */
export async function listDatabases(
  connection: Connection,
  code: FailureCode,
  signal: AbortSignal,
): Promise<readonly DatabaseRow[]> {
  const rows = await query(
    connection,
    {
      sql: 'select schema_name, default_character_set_name, default_collation_name from information_schema.schemata order by schema_name;',
      code,
    },
    signal,
  );
  return rows
    .map(([name = '', characterSet = '', collation = '']) => ({ name, characterSet, collation }))
    .filter(({ name }) => !SYSTEM.includes(name.toLowerCase()));
}

/** Looks into a database. */
export async function readContents(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): Promise<Contents> {
  const own = `= ${quoteText(database)}`;
  const rows = await query(
    connection,
    {
      sql: `
        select 'view', table_name, ifnull(view_definition, '') from information_schema.views
          where table_schema ${own} order by table_name;
        select 'unsafe', table_name, engine from information_schema.tables
          where table_schema ${own} and table_type not in ('VIEW', 'SEQUENCE')
            and engine not in (select engine from information_schema.engines where transactions = 'YES')
          order by table_name;
        select 'size', ifnull(sum(ifnull(data_length, 0) + ifnull(index_length, 0)), 0), '' from information_schema.tables
          where table_schema ${own};`,
      code: 'dump-failed',
    },
    signal,
  );
  const views = rows
    .filter(([kind]) => kind === 'view')
    .map(([, name = '', definition = '']) => ({ name, definition }));
  const reasons = await checkViews(
    connection,
    { database, views: views.map(({ name }) => name) },
    signal,
  );
  return {
    views: views.map(({ name }) => name).filter((name) => !reasons.has(name)),
    brokenViews: views.flatMap((view) => {
      const why = reasons.get(view.name);
      return why === undefined ? [] : [{ ...view, why }];
    }),
    unsafeTables: rows.filter(([kind]) => kind === 'unsafe').map(([, name = '']) => name),
    sizeBytes: Number(rows.find(([kind]) => kind === 'size')?.[1] ?? 0),
  };
}

/** Why views cannot be read, by name; those that can are not in it. */
async function checkViews(
  connection: Connection,
  { database, views }: { readonly database: string; readonly views: readonly string[] },
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  if (views.length === 0) {
    return new Map();
  }
  const names = views.map((name) => quoteName(name)).join(', ');
  const rows = await query(
    connection,
    { database, sql: `check table ${names};`, code: 'dump-failed' },
    signal,
  );
  const prefix = `${database}.`;
  // Each has one line that tells how it is, and others with the reasons.
  return new Map(
    rows
      .filter(([, , kind = '', text]) => kind.toLowerCase() === 'error' && text !== 'Corrupt')
      .map(([name = '', , , text = '']) => [name.slice(prefix.length), text]),
  );
}
