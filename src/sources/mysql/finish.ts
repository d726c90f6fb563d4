import { toError } from '../../core/errors.ts';
import type { Warning } from '../../core/manifest.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { charactersFor } from './characters.ts';
import type { Exchange } from './exchange.ts';
import { nameKeys } from './foreign-keys.ts';
import { nameTriggers, seeOut } from './hidden.ts';
import { KEPT_TABLE, readKept, type Kept } from './marks.ts';
import { createScript, dropStatement, inOrder, type StoredObject } from './objects.ts';
import { takeOwnSequences } from './sequence-defaults.ts';
import { quoteName, quotePath } from './sql.ts';
import { allTables, baseTables } from './tables.ts';
import { createMissingTriggers } from './triggers.ts';

/**
 * Does what follows the move, from wherever it was left: what is kept gets the rest of its tables, the database in use its
 * routines, views and events, those that differ; what has come loose is removed. Idempotent.
 * @returns what could not be made, as warnings
 */
export async function finishExchange(
  connection: Connection,
  exchange: Exchange,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  const { name, outgoing, dropAfter } = exchange;
  const kept = await readKept(connection, outgoing ?? name, KEPT_TABLE, signal);
  if (kept === null) {
    return [];
  }
  // Objects are made with the character set that the database has then.
  await run(connection, charactersFor(name, kept, 'new').join('\n'), signal);
  await moveApart(connection, exchange, kept, signal);
  await seeOut(connection, exchange, kept, signal);
  await nameTriggers(connection, exchange, kept, signal);
  await nameKeys(connection, name, kept.mark.renamedKeys, signal);
  await takeOwnSequences(connection, name, exchange.incoming, signal);
  await createMissingTriggers(connection, name, kept.objects.new, signal);
  const warnings = await replaceObjects(connection, name, kept, signal);
  await run(connection, charactersFor(name, kept, 'new').join('\n'), signal);
  const left = await dropIncoming(connection, exchange, signal);
  const statements = [
    ...(outgoing === null ? [`drop table if exists ${quotePath(name, KEPT_TABLE)};`] : []),
    ...(dropAfter && (await baseTables(connection, name, signal)).length === 0
      ? [`drop database ${quoteName(name)};`]
      : []),
  ];
  await run(connection, statements.join('\n'), signal);
  return [...warnings, ...left];
}

async function run(connection: Connection, sql: string, signal: AbortSignal): Promise<void> {
  if (sql !== '') {
    await query(connection, { sql, code: 'restore-failed' }, signal);
  }
}

/** Tables without transactions, where MySQL does not move them with the others. */
async function moveApart(
  connection: Connection,
  { name, incoming, outgoing }: Exchange,
  { mark }: Kept,
  signal: AbortSignal,
): Promise<void> {
  const [here, coming, gone] = [
    new Set(await allTables(connection, name, signal)),
    new Set(await allTables(connection, incoming, signal)),
    new Set(outgoing === null ? [] : await allTables(connection, outgoing, signal)),
  ];
  const leaves = mark.apart.outgoing.filter((table) => here.has(table) && !gone.has(table));
  const comes = mark.apart.incoming.filter((table) => coming.has(table));
  const renames = [
    ...leaves.map((table) => `${quotePath(name, table)} to ${quotePath(outgoing ?? '', table)}`),
    ...comes.map((table) => `${quotePath(incoming, table)} to ${quotePath(name, table)}`),
  ];
  if (renames.length > 0) {
    await run(connection, `rename table ${renames.join(', ')};`, signal);
  }
}

/**
 * Events last: they may do anything. What the server refuses now (an event of a time zone that it does not know) is left out:
 * everything else is in use already.
 */
async function replaceObjects(
  connection: Connection,
  database: string,
  { mark, objects }: Kept,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  const before = objects.old.filter(({ kind }) => kind !== 'trigger');
  const after = objects.new.filter(({ kind }) => kind !== 'trigger');
  const texts = new Set(before.map((object) => JSON.stringify(object)));
  const wanted = new Set(after.map((object) => JSON.stringify(object)));
  const dropped = before.filter((object) => !wanted.has(JSON.stringify(object)));
  const made = inOrder(after).filter((object) => !texts.has(JSON.stringify(object)));
  const scripts = made.map((object) => ({
    object,
    script: `${object.kind === 'view' ? '' : dropStatement(object)}${createScript(object)}`,
  }));
  // They are gone with the routine that was made again.
  const grants = mark.grants
    .filter(({ kind, name }) => after.some((one) => one.kind === kind && one.name === name))
    .map(({ statement }) => `${Buffer.from(statement).toString('latin1')}\n`);
  const drops = dropped.map((object) => dropStatement(object));

  async function runBytes(script: string): Promise<void> {
    const sql = Buffer.from(script, 'latin1');
    await query(connection, { sql, database, code: 'restore-failed' }, signal);
  }

  const warnings: Warning[] = [];
  const all = [...drops, ...scripts.map(({ script }) => script)].join('');
  try {
    await runBytes(all);
  } catch (error) {
    signal.throwIfAborted();
    // One by one, to know which.
    await runBytes(drops.join(''));
    for (const { object, script } of scripts) {
      await runBytes(script).catch((refused: unknown) => {
        warnings.push(skipped(database, object, refused ?? error));
      });
    }
  }
  await runBytes(grants.join(''));
  return warnings;
}

function skipped(database: string, { kind, name }: StoredObject, refused: unknown): Warning {
  const { message } = toError(refused);
  return {
    code: 'object-skipped',
    message: `${kind} "${name}" of "${database}" could not be made: ${message}`,
  };
}

/** Only where nothing but ours is left in it. */
async function dropIncoming(
  connection: Connection,
  { name, incoming }: Exchange,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  const left = await baseTables(connection, incoming, signal);
  if (left.length > 0) {
    const message = `tables of "${incoming}" were not moved to "${name}", since they are newer than the swap: ${left.join(', ')}`;
    return [{ code: 'tables-left', message }];
  }
  await run(connection, `drop database if exists ${quoteName(incoming)};`, signal);
  return [];
}
