import type { Connection } from './connection.ts';
import { query } from './query.ts';
import type { Exchange } from './exchange.ts';
import type { KeptMark } from './marks.ts';
import { quoteName, quotePath, quoteText } from './sql.ts';

/*
 * Names of foreign keys are unique in a database. Where a table waits at the door (see hidden.ts) beside the one it replaces,
 * its foreign keys need other names until that has gone. Both changes are of names alone: at no time is a table without them.
 */

/** One that has another name for a while. */
export interface RenamedKey {
  readonly table: string;
  readonly name: string;
  readonly temporary: string;
  /** `FOREIGN KEY (...) REFERENCES ...`. */
  readonly definition: string;
}

const KEY = /^ {2}CONSTRAINT `(?<name>(?:[^`]|``)+)` (?<definition>FOREIGN KEY .*?),?$/gm;

/** Foreign keys of what comes in whose names are taken for as long as what they replace is there. */
export async function clashingKeys(
  connection: Connection,
  { run, name, incoming }: Pick<Exchange, 'run' | 'name' | 'incoming'>,
  hidden: KeptMark['hidden'],
  signal: AbortSignal,
): Promise<readonly RenamedKey[]> {
  if (hidden.incoming.length + hidden.outgoing.length === 0) {
    return [];
  }
  const [taken, ours] = [
    await listKeys(connection, name, signal),
    await listKeys(connection, incoming, signal),
  ];
  const leaving = new Set(hidden.outgoing.map(({ table }) => table));
  const coming = new Set(hidden.incoming.map(({ table }) => table));
  const all = new Set(taken.map((key) => key.name));
  const staying = new Set(taken.filter(({ table }) => leaving.has(table)).map((key) => key.name));
  const clashing = ours.filter((key) => (coming.has(key.table) ? all : staying).has(key.name));
  const definitions = await readDefinitions(connection, incoming, clashing, signal);
  return clashing.map((key, index) => ({
    ...key,
    temporary: `_backupd_fk_${run.toLowerCase()}_${index}`,
    definition: definitions.get(key.name) ?? '',
  }));
}

interface Key {
  readonly table: string;
  readonly name: string;
}

/** Those that users named: generated names follow the table's. */
async function listKeys(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): Promise<readonly Key[]> {
  const rows = await query(
    connection,
    {
      sql: `select table_name, constraint_name from information_schema.table_constraints
        where constraint_schema = ${quoteText(database)} and constraint_type = 'FOREIGN KEY';`,
      code: 'restore-failed',
    },
    signal,
  );
  return rows
    .map(([table = '', name = '']) => ({ table, name }))
    .filter(({ table, name }) => !name.startsWith(`${table}_ibfk_`));
}

async function readDefinitions(
  connection: Connection,
  database: string,
  keys: readonly Key[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const tables = [...new Set(keys.map(({ table }) => table))];
  const definitions = new Map<string, string>();
  if (tables.length > 0) {
    const sql = tables
      .map((table) => `show create table ${quotePath(database, table)};`)
      .join('\n');
    for (const [, create = ''] of await query(
      connection,
      { sql, code: 'restore-failed' },
      signal,
    )) {
      for (const { groups } of create.matchAll(KEY)) {
        definitions.set(
          (groups?.['name'] ?? '').replaceAll('``', '`'),
          groups?.['definition'] ?? '',
        );
      }
    }
  }
  return definitions;
}

/** Statements that give the keys their other names, or their own ones. */
export function keyStatements(
  database: string,
  keys: readonly RenamedKey[],
  to: 'temporary' | 'name',
): readonly string[] {
  const from = to === 'name' ? 'temporary' : 'name';
  return keys.length === 0
    ? []
    : [
        'set session foreign_key_checks = 0;',
        ...keys.map(
          (key) =>
            `alter table ${quotePath(database, key.table)} drop foreign key ${quoteName(key[from])}, add constraint ${quoteName(key[to])} ${key.definition};`,
        ),
        'set session foreign_key_checks = 1;',
      ];
}

/** Gives those their own names that have the other ones still. */
export async function nameKeys(
  connection: Connection,
  database: string,
  keys: readonly RenamedKey[],
  signal: AbortSignal,
): Promise<void> {
  if (keys.length > 0) {
    const there = new Set((await listKeys(connection, database, signal)).map(({ name }) => name));
    const sql = keyStatements(
      database,
      keys.filter(({ temporary }) => there.has(temporary)),
      'name',
    ).join('\n');
    if (sql !== '') {
      await query(connection, { sql, code: 'restore-failed' }, signal);
    }
  }
}
