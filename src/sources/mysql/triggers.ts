import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { createScript, triggersOf, type StoredObject } from './objects.ts';
import { quoteName, quoteText } from './sql.ts';

/** Makes those triggers of a database that a move which was cut off had dropped, or not yet made. */
export async function createMissingTriggers(
  connection: Connection,
  database: string,
  objects: readonly StoredObject[],
  signal: AbortSignal,
): Promise<void> {
  const rows = await query(
    connection,
    {
      sql: `select distinct event_object_table, trigger_name from information_schema.triggers where trigger_schema = ${quoteText(database)};`,
      code: 'restore-failed',
    },
    signal,
  );
  const there = new Set(rows.map(([, trigger]) => trigger));
  const tables = new Set(objects.flatMap(({ table }) => (table === null ? [] : [table])));
  // All of a table or none: they have an order.
  const incomplete = [...tables].filter((table) =>
    triggersOf(objects, table).some(({ name }) => !there.has(name)),
  );
  const script = incomplete.flatMap((table) => {
    const triggers = triggersOf(objects, table);
    return [
      ...triggers.map(({ name }) => `drop trigger if exists ${quoteName(name)};\n`),
      ...triggers.map((trigger) => createScript(trigger)),
    ];
  });
  if (script.length > 0) {
    const sql = Buffer.from(script.join(''), 'latin1');
    await query(connection, { sql, database, code: 'restore-failed' }, signal);
  }
}
