import {
  compareFacts,
  wereTaken,
  type Comparison,
  type DatabaseFacts,
  type TableFact,
} from '../../core/facts.ts';
import type { BesideDatabase } from '../../core/restorer.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { OURS } from './marks.ts';
import type { StoredObject } from './objects.ts';
import { quotePath, quoteText } from './sql.ts';

/** Compares a database that was loaded beside, with all but its events, with what was true of it when it was dumped. */
export async function compareDatabase(
  connection: Connection,
  { name, temporary }: BesideDatabase,
  {
    expected,
    objects,
  }: { readonly expected: DatabaseFacts; readonly objects: readonly StoredObject[] },
  signal: AbortSignal,
): Promise<Comparison> {
  if (!wereTaken(expected)) {
    return compareFacts(name, expected, expected);
  }
  const rows = await query(
    connection,
    { sql: inventorySql(temporary), code: 'restore-failed' },
    signal,
  );
  const names = rows.flatMap(([kind, table = '']) =>
    kind === 'table' && !table.startsWith(OURS) ? [table] : [],
  );
  const sequenceNames = rows.flatMap(([kind, sequence = '']) =>
    kind === 'sequence' ? [sequence] : [],
  );
  const counted = await query(
    connection,
    {
      sql: [
        ...names.map((table) => count(temporary, table)),
        ...sequenceNames.map((sequence) => nextValue(temporary, sequence)),
      ].join('\n'),
      code: 'restore-failed',
    },
    signal,
  );
  const tables: Record<string, TableFact> = {};
  const sequences: Record<string, string> = {};
  for (const [kind, what = '', value = ''] of counted) {
    if (kind === 'table') {
      tables[what] = { rows: Number(value), exact: true };
    } else {
      sequences[what] = value;
    }
  }
  const made: Record<string, number> = { tables: names.length };
  for (const [kind = ''] of rows) {
    if (kind !== 'table' && kind !== 'sequence') {
      made[kind] = (made[kind] ?? 0) + 1;
    }
  }
  const events = objects.filter(({ kind }) => kind === 'event').length;
  return compareFacts(name, expected, {
    sizeBytes: null,
    tables,
    sequences,
    objects: events === 0 ? made : { ...made, events },
  });
}

/** A row for each thing there is: its kind as the facts name it, and its name. */
function inventorySql(database: string): string {
  const own = `= ${quoteText(database)}`;
  return `
    select if(table_type = 'SEQUENCE', 'sequence', 'table'), table_name from information_schema.tables
      where table_schema ${own} and table_type <> 'VIEW' order by table_name;
    select 'views', table_name from information_schema.views where table_schema ${own};
    select 'triggers', trigger_name from information_schema.triggers where trigger_schema ${own};
    select case routine_type when 'FUNCTION' then 'functions' when 'PROCEDURE' then 'procedures' else 'packages' end, routine_name
      from information_schema.routines where routine_schema ${own} and routine_type <> 'PACKAGE BODY';`;
}

function count(database: string, table: string): string {
  return `select 'table', ${quoteText(table)}, count(*) from ${quotePath(database, table)};`;
}

function nextValue(database: string, sequence: string): string {
  return `select 'sequence', ${quoteText(sequence)}, next_not_cached_value from ${quotePath(database, sequence)};`;
}
