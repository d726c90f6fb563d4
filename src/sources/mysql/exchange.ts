import { waitForAll } from '../../core/wait-for-all.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';
import type { DatabaseRow } from './databases.ts';
import { charactersFor } from './characters.ts';
import { readDefinitions } from './definitions.ts';
import { clashingKeys, keyStatements, nameKeys } from './foreign-keys.ts';
import { hide, hiddenTables, unhide } from './hidden.ts';
import {
  KEPT_TABLE,
  markStatements,
  NEXT_TABLE,
  readKept,
  type Characters,
  type Kept,
} from './marks.ts';
import type { StoredObject } from './objects.ts';
import { readRoutineGrants } from './routine-grants.ts';
import { quoteName, quotePath } from './sql.ts';
import { allTables, baseTables, createDatabase, tablesApart } from './tables.ts';
import { createMissingTriggers } from './triggers.ts';

/** What is to take the place of what. Databases cannot be renamed, so their tables are, from one to the other. */
export interface Exchange {
  /** Of the restore or undo. */
  readonly run: string;
  readonly source: string;
  /** The database in use. */
  readonly name: string;
  /** What holds the tables that come in; it is gone afterwards. */
  readonly incoming: string;
  /** What will keep the tables that are in use now; null where there is no such database. */
  readonly outgoing: string | null;
  /** Whether nothing shall be left under the name: an undo of what a restore had made. */
  readonly dropAfter: boolean;
}

/** One that can be carried out. */
export interface Prepared {
  readonly exchange: Exchange;
  readonly kept: Kept;
  /** Tables that come in, and those that go. */
  readonly tables: { readonly incoming: readonly string[]; readonly outgoing: readonly string[] };
}

/** What an exchange is prepared with. */
export interface Preparing {
  /** The database in use; null where there is none. */
  readonly live: DatabaseRow | null;
  /** What comes in. */
  readonly incoming: DatabaseRow;
  /** What the database is to have besides tables. */
  readonly objects: readonly StoredObject[];
}

/** Makes all ready for the move: a database that will keep what is in use, and a mark that moves with the tables. */
export async function prepareExchange(
  connection: Connection,
  exchange: Exchange,
  { live, incoming, objects }: Preparing,
  signal: AbortSignal,
): Promise<Prepared> {
  const { run, source, name, outgoing, dropAfter } = exchange;
  const [old, comes, goes] = await waitForAll([
    live === null ? Promise.resolve([]) : readDefinitions(connection, name, signal),
    baseTables(connection, exchange.incoming, signal),
    live === null ? Promise.resolve([]) : baseTables(connection, name, signal),
  ]);
  const hidden =
    connection.flavour === 'mysql'
      ? // It locks them instead.
        { incoming: [], outgoing: [] }
      : {
          incoming: hiddenTables(comes, objects, `in_${run}`),
          outgoing: hiddenTables(goes, old, `out_${run}`),
        };
  const kept: Kept = {
    mark: {
      run,
      source,
      name,
      at: new Date().toISOString(),
      keptAs: outgoing,
      characters: { old: charactersOf(live ?? incoming), new: charactersOf(incoming) },
      hidden,
      grants: live === null ? [] : await readRoutineGrants(connection, name, signal),
      renamedKeys: await clashingKeys(connection, exchange, hidden, signal),
      apart: {
        incoming: await tablesApart(connection, exchange.incoming, signal),
        outgoing: live === null ? [] : await tablesApart(connection, name, signal),
      },
      dropAfter,
    },
    objects: { old, new: objects },
  };
  const statements = [
    ...markStatements(exchange.incoming, NEXT_TABLE, kept),
    createDatabase(outgoing ?? name, kept.mark.characters.old),
    ...keyStatements(exchange.incoming, kept.mark.renamedKeys, 'temporary'),
  ];
  await query(connection, { sql: statements.join('\n'), code: 'restore-failed' }, signal);
  await hide(connection, exchange, kept, signal);
  return { exchange, kept, tables: { incoming: comes, outgoing: goes } };
}

function charactersOf({ characterSet, collation }: DatabaseRow): Characters {
  return { characterSet, collation };
}

/** Whether the tables have moved: of all databases of a run at once. */
export async function hasMoved(
  connection: Connection,
  { run, name, outgoing }: Exchange,
  signal: AbortSignal,
): Promise<boolean> {
  const kept = await readKept(connection, outgoing ?? name, KEPT_TABLE, signal);
  return kept?.mark.run === run;
}

/** Takes back what preparing did, as far as it had come: what is in use is as it was, and what comes in is in its own database. */
export async function takeBack(
  connection: Connection,
  exchange: Exchange,
  signal: AbortSignal,
): Promise<void> {
  const { name, incoming, outgoing, dropAfter } = exchange;
  const next = await readKept(connection, incoming, NEXT_TABLE, signal);
  if (next !== null) {
    await undoPreparing(connection, exchange, next, signal);
  }
  const statements = [
    ...((await allTables(connection, outgoing ?? name, signal)).length === 0
      ? [`drop database if exists ${quoteName(outgoing ?? name)};`]
      : []),
    // Made for this undo alone, since nothing was to come in.
    dropAfter
      ? `drop database if exists ${quoteName(incoming)};`
      : `drop table if exists ${quotePath(incoming, NEXT_TABLE)};`,
  ];
  await query(connection, { sql: statements.join('\n'), code: 'restore-failed' }, signal);
}

async function undoPreparing(
  connection: Connection,
  exchange: Exchange,
  next: Kept,
  signal: AbortSignal,
): Promise<void> {
  const { name, incoming, outgoing } = exchange;
  await unhide(connection, exchange, next, signal);
  await nameKeys(connection, incoming, next.mark.renamedKeys, signal);
  await createMissingTriggers(connection, name, next.objects.old, signal);
  // Where nothing was in use there may be no such database yet.
  const [sql] = outgoing === null ? [] : charactersFor(name, next, 'old');
  if (sql !== undefined) {
    await query(connection, { sql, code: 'restore-failed' }, signal);
  }
}
