import type { Connection } from './connection.ts';
import { query } from './query.ts';
import type { RenamedKey } from './foreign-keys.ts';
import type { StoredObject } from './objects.ts';
import type { RoutineGrant } from './routine-grants.ts';
import { quotePath, quoteText } from './sql.ts';

/** In a database that is being loaded: whose it is. */
export const BESIDE_TABLE = '_backupd_beside';
/** In a database that was replaced: what it was, and what it had besides its tables. */
export const KEPT_TABLE = '_backupd_kept';
/** The same before the swap, in what comes in: that the swap has happened is known by where it is. */
export const NEXT_TABLE = '_backupd_next';
/** Names of tables and triggers that are ours begin so. */
export const OURS = '_backupd_';

/** What one exchange of a database does; plain JSON, kept in the server. */
export interface KeptMark {
  /** Of the restore or undo that kept it. */
  readonly run: string;
  readonly source: string;
  /** The database that it was. */
  readonly name: string;
  readonly at: string;
  /** The database that keeps it; null where there was none before. */
  readonly keptAs: string | null;
  /** What the database had, and what it is to have. */
  readonly characters: Readonly<Record<Side, Characters>>;
  /** Tables with triggers, for as long as they are neither here nor there, by what they are called then. */
  readonly hidden: {
    readonly incoming: readonly HiddenTable[];
    readonly outgoing: readonly HiddenTable[];
  };
  /** Foreign keys of what comes in that have other names until what they replace has gone. */
  readonly renamedKeys: readonly RenamedKey[];
  /** Of the routines of the database in use. */
  readonly grants: readonly RoutineGrant[];
  /** Tables that MySQL does not move in the same statement as others: those without transactions, where it writes GTIDs. */
  readonly apart: { readonly incoming: readonly string[]; readonly outgoing: readonly string[] };
  /** Whether nothing shall be left under the name. */
  readonly dropAfter: boolean;
}

/** What new tables and objects get where they say nothing else. */
export interface Characters {
  readonly characterSet: string;
  readonly collation: string;
}

export interface HiddenTable {
  readonly table: string;
  readonly hidden: string;
}

/** What there was, and what there is to be. */
export type Side = 'old' | 'new';

export interface Kept {
  readonly mark: KeptMark;
  readonly objects: Readonly<Record<Side, readonly StoredObject[]>>;
}

/** Statements that write a mark into a new table of ours. */
export function markStatements(database: string, table: string, kept: Kept): readonly string[] {
  return tableStatements(quotePath(database, table), [
    ['mark', JSON.stringify(kept.mark)],
    ...(['old', 'new'] as const).flatMap((side) =>
      kept.objects[side].map((object): Row => [side, JSON.stringify(object)]),
    ),
  ]);
}

/** Statements that say of a new database whose it is, and which accounts its restore makes. */
export function besideStatements(
  database: string,
  mark: string,
  accounts: readonly string[],
): readonly string[] {
  return tableStatements(quotePath(database, BESIDE_TABLE), [
    ['mark', mark],
    ...accounts.map((account): Row => ['user', account]),
  ]);
}

type Row = readonly [side: 'mark' | 'user' | Side, value: string];

function tableStatements(path: string, rows: readonly Row[]): readonly string[] {
  return [
    `create table ${path} (id int auto_increment primary key, side varchar(4) not null, value longtext not null)
      engine = InnoDB default charset = utf8mb4;`,
    // One at a time: a routine can be long, and packets have a limit.
    ...rows.map(
      ([side, value]) =>
        `insert into ${path} (side, value) values (${quoteText(side)}, ${quoteText(value)});`,
    ),
  ];
}

/** The accounts that the restore of a database which is loaded beside made, or was about to. */
export async function readMadeAccounts(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const sql = `select value from ${quotePath(database, BESIDE_TABLE)} where side = 'user' order by id;`;
  const rows = await query(connection, { sql, code: 'restore-failed' }, signal);
  return rows.map(([account = '']) => account);
}

/** What is written in a table of ours; null where it is not there. */
export async function readKept(
  connection: Connection,
  database: string,
  table: string,
  signal: AbortSignal,
): Promise<Kept | null> {
  const there = await query(
    connection,
    {
      sql: `select table_name from information_schema.tables where table_schema = ${quoteText(database)} and table_name = ${quoteText(table)};`,
      code: 'restore-failed',
    },
    signal,
  );
  if (there.length === 0) {
    return null;
  }
  const rows = await query(
    connection,
    {
      sql: `select side, value from ${quotePath(database, table)} order by id;`,
      code: 'restore-failed',
    },
    signal,
  );
  function objectsOf(side: Side): readonly StoredObject[] {
    return rows.flatMap(([found, value = '']) =>
      found === side ? [JSON.parse(value) as StoredObject] : [],
    );
  }
  const mark = rows.find(([side]) => side === 'mark')?.[1];
  return mark === undefined
    ? null
    : {
        mark: JSON.parse(mark) as KeptMark,
        objects: { old: objectsOf('old'), new: objectsOf('new') },
      };
}
