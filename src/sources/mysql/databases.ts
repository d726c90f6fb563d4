import type { FailureCode } from '../../core/errors.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { BESIDE_TABLE, KEPT_TABLE, type KeptMark } from './marks.ts';
import { quoteName, quotePath, quoteText } from './sql.ts';

/** A database (a schema) of a server. */
export interface DatabaseRow {
  readonly name: string;
  readonly characterSet: string;
  readonly collation: string;
  /** Whose restore is loading it beside what is in use; null where none does. */
  readonly beside: string | null;
  /** What it was before a restore replaced it; null where none did. */
  readonly kept: KeptMark | null;
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

/** All databases but the server's own, also what restores are loading or have kept; by name. */
export async function listDatabases(
  connection: Connection,
  code: FailureCode,
  signal: AbortSignal,
): Promise<readonly DatabaseRow[]> {
  const marks = [BESIDE_TABLE, KEPT_TABLE].map((name) => quoteText(name)).join(', ');
  const rows = await query(
    connection,
    {
      sql: `
        select schema_name, default_character_set_name, default_collation_name,
          (select ifnull(group_concat(table_name), '') from information_schema.tables
            where table_schema = schema_name and table_name in (${marks}))
        from information_schema.schemata order by schema_name;`,
      code,
    },
    signal,
  );
  const marked = await readMarks(connection, rows, code, signal);
  return rows
    .filter(([name = '']) => !SYSTEM.includes(name.toLowerCase()))
    .map(([name = '', characterSet = '', collation = '']) => {
      const kept = marked.kept.get(name) ?? null;
      return {
        name,
        characterSet,
        collation,
        beside: marked.beside.get(name) ?? null,
        // While a restore makes a database that was not there, the mark is for a moment in what it makes.
        kept: kept?.keptAs === name ? kept : null,
      };
    });
}

/** Without what a restore is loading or has kept. */
export function ownDatabases(rows: readonly DatabaseRow[]): readonly DatabaseRow[] {
  return rows.filter(({ beside, kept }) => beside === null && kept === null);
}

/** By name of the database. */
interface Marks {
  readonly beside: ReadonlyMap<string, string>;
  readonly kept: ReadonlyMap<string, KeptMark>;
}

async function readMarks(
  connection: Connection,
  rows: readonly (readonly string[])[],
  code: FailureCode,
  signal: AbortSignal,
): Promise<Marks> {
  const selects = rows.flatMap(([name = '', , , tables = '']) =>
    tables
      .split(',')
      .filter((table) => table !== '')
      .map(
        (table) =>
          `select ${quoteText(table)}, ${quoteText(name)}, value from ${quotePath(name, table)} where side = 'mark';`,
      ),
  );
  const found =
    selects.length === 0 ? [] : await query(connection, { sql: selects.join('\n'), code }, signal);
  function of(table: string): readonly (readonly [string, string])[] {
    return found.flatMap(([from, name = '', value = '']) =>
      from === table ? [[name, value] as const] : [],
    );
  }
  return {
    beside: new Map(of(BESIDE_TABLE)),
    kept: new Map(of(KEPT_TABLE).map(([name, value]) => [name, JSON.parse(value) as KeptMark])),
  };
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
