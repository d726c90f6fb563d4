import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { charactersFor } from './characters.ts';
import type { Exchange } from './exchange.ts';
import { OURS, type HiddenTable, type Kept } from './marks.ts';
import { createScript, inAnyDatabase, triggersOf, type StoredObject } from './objects.ts';
import { quoteName, quotePath } from './sql.ts';
import { allTables } from './tables.ts';

/*
 * A table cannot move to another database with its triggers, and MariaDB does not rename under LOCK TABLES. So one with
 * triggers comes and goes by a door: hidden in the database in use under a name of ours, where its triggers are made before
 * it gets its name, and dropped after it has lost it. No write is ever without them.
 */

/** The tables with triggers, and what they are called meanwhile. */
export function hiddenTables(
  tables: readonly string[],
  objects: readonly StoredObject[],
  stem: string,
): readonly HiddenTable[] {
  const prefix = `${OURS}${stem.toLowerCase().replaceAll(/[^a-z0-9]/g, '_')}`;
  return tables
    .filter((table) => triggersOf(objects, table).length > 0)
    .map((table, index) => ({ table, hidden: `${prefix}_${index}` }));
}

/** What a trigger of a hidden table is called: its own name may be in use. */
function hiddenTrigger({ hidden }: HiddenTable, index: number): string {
  return `${hidden}_${index}`;
}

/** Brings the tables that come in to the door. */
export async function hide(
  connection: Connection,
  { name, incoming }: Exchange,
  kept: Kept,
  signal: AbortSignal,
): Promise<void> {
  const { mark, objects } = kept;
  const script = mark.hidden.incoming.flatMap((one) => [
    `rename table ${quotePath(incoming, one.table)} to ${quotePath(name, one.hidden)};\n`,
    ...triggersOf(objects.new, one.table).map((trigger, index) =>
      bytes(createScript(trigger, { name: hiddenTrigger(one, index), table: one.hidden })),
    ),
  ]);
  // Making them may have changed it.
  const end = script.length === 0 ? [] : charactersFor(name, kept, 'old');
  await run(connection, name, [...script, ...end], signal);
}

/** Brings them back from there. */
export async function unhide(
  connection: Connection,
  { name, incoming }: Exchange,
  { mark, objects }: Kept,
  signal: AbortSignal,
): Promise<void> {
  const there = new Set(await allTables(connection, name, signal));
  const script = mark.hidden.incoming
    .filter(({ hidden }) => there.has(hidden))
    .flatMap((one) => [
      ...triggersOf(objects.new, one.table).map(
        (_trigger, index) => `drop trigger if exists ${quoteName(hiddenTrigger(one, index))};\n`,
      ),
      `rename table ${quotePath(name, one.hidden)} to ${quotePath(incoming, one.table)};\n`,
    ]);
  await run(connection, name, script, signal);
}

/** Sees those out that have gone as far as the door. */
export async function seeOut(
  connection: Connection,
  { name, outgoing }: Exchange,
  { mark, objects }: Kept,
  signal: AbortSignal,
): Promise<void> {
  const there = new Set(await allTables(connection, name, signal));
  const script = mark.hidden.outgoing
    .filter(({ hidden }) => there.has(hidden))
    .flatMap((one) => [
      ...triggersOf(objects.old, one.table).map(
        (trigger) => `drop trigger if exists ${quoteName(trigger.name)};\n`,
      ),
      `rename table ${quotePath(name, one.hidden)} to ${quotePath(outgoing ?? '', one.table)};\n`,
    ]);
  await run(connection, name, script, signal);
}

/** Gives the triggers of the tables that came in their own names, while nobody can write. */
export async function nameTriggers(
  connection: Connection,
  { name }: Exchange,
  { mark, objects }: Kept,
  signal: AbortSignal,
): Promise<void> {
  for (const one of mark.hidden.incoming) {
    const triggers = triggersOf(objects.new, one.table);
    const characters = triggers[0]?.settings['database'];
    const script = [
      ...(characters === undefined ? [] : [`alter database ${characters};\n`]),
      `lock tables ${quoteName(one.table)} write;\n`,
      ...triggers.flatMap((trigger, index) => [
        `drop trigger if exists ${quoteName(hiddenTrigger(one, index))};\n`,
        `drop trigger if exists ${quoteName(trigger.name)};\n`,
      ]),
      ...triggers.map((trigger) => bytes(createScript(inAnyDatabase(trigger)))),
      'unlock tables;\n',
    ];
    await run(connection, name, script, signal);
  }
}

function bytes(script: string): Buffer {
  return Buffer.from(script, 'latin1');
}

async function run(
  connection: Connection,
  database: string,
  script: readonly (string | Buffer)[],
  signal: AbortSignal,
): Promise<void> {
  if (script.length > 0) {
    const sql = Buffer.concat(
      script.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)),
    );
    await query(connection, { sql, database, code: 'restore-failed' }, signal);
  }
}
