import type { Beside, Journal, RestorePlan, Swapped } from '../../core/restorer.ts';
import type { Warning } from '../../core/manifest.ts';
import { reach } from '../../core/steps.ts';
import { clearBeside } from './beside.ts';
import { besideMark } from './names.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { listDatabases, type DatabaseRow } from './databases.ts';
import { prepareExchange, takeBack, type Exchange, type Prepared } from './exchange.ts';
import { finishExchange } from './finish.ts';
import { previousOf, restoreExchanges, type Owner } from './kept.ts';
import { besideStatements, KEPT_TABLE, readKept } from './marks.ts';
import { move } from './move.ts';
import type { StoredObject } from './objects.ts';
import { grantAll } from './restore-users.ts';
import { holdRun } from './run-lock.ts';
import { createDatabase } from './tables.ts';

export interface Swapping {
  readonly owner: Owner;
  readonly beside: Beside;
  readonly plan: RestorePlan;
  /** What each database is to have besides tables, by its name in the backup. */
  readonly objects: ReadonlyMap<string, readonly StoredObject[]>;
}

/** Puts what was loaded beside in the place of what is there. */
export async function swapIn(
  connection: Connection,
  { owner, beside, plan, objects }: Swapping,
  journal: Journal,
  signal: AbortSignal,
): Promise<Swapped> {
  for (const database of beside.databases) {
    plan.onProgress({ stage: 'swap', database: database.restoredAs });
    // What was rehearsed: a table does not move with its triggers.
    await clearBeside(connection, database.temporary, signal);
  }
  const { id } = plan.manifest;
  await journal.write({ step: 'swapping', ...owner, id, beside });
  reach('swap-journaled');
  const names = new Map(beside.databases.map(({ temporary, name }) => [temporary, name]));
  const skipped = await exchangeAll(
    connection,
    restoreExchanges(beside, owner.source),
    ({ incoming }) => Promise.resolve(objects.get(names.get(incoming) ?? '') ?? []),
    signal,
  );
  const refused = await grantAll(connection, beside.statements, signal);
  const previous = previousOf(beside, owner, new Date().toISOString());
  return { previous, warnings: [...skipped, ...refused] };
}

/** Puts what was kept back in the place of what is in use. */
export async function undoIn(
  connection: Connection,
  exchanges: readonly Exchange[],
  signal: AbortSignal,
): Promise<void> {
  const rows = await listDatabases(connection, 'restore-failed', signal);
  for (const { run, incoming, name, dropAfter } of exchanges) {
    const like = rows.find((row) => row.name === name);
    if (dropAfter && like !== undefined) {
      const made = [
        createDatabase(incoming, like),
        ...besideStatements(incoming, besideMark(connection, run), []),
      ];
      await query(connection, { sql: made.join('\n'), code: 'restore-failed' }, signal);
    }
  }
  await exchangeAll(
    connection,
    exchanges,
    async ({ incoming }) =>
      (await readKept(connection, incoming, KEPT_TABLE, signal))?.objects.old ?? [],
    signal,
  );
}

/** All at once or none. */
async function exchangeAll(
  connection: Connection,
  exchanges: readonly Exchange[],
  objectsOf: (exchange: Exchange) => Promise<readonly StoredObject[]>,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  for (const { run } of exchanges.slice(0, 1)) {
    await query(connection, { sql: holdRun(run), code: 'restore-failed' }, signal);
  }
  const rows = await listDatabases(connection, 'restore-failed', signal);
  const byName = new Map(rows.map((row) => [row.name, row]));
  const prepared: Prepared[] = [];
  try {
    for (const exchange of exchanges) {
      prepared.push(
        await prepareExchange(
          connection,
          exchange,
          {
            live: byName.get(exchange.name) ?? null,
            incoming: rowOf(byName, exchange.incoming),
            objects: await objectsOf(exchange),
          },
          signal,
        ),
      );
    }
    reach('swap-prepared');
    await move(connection, prepared, signal);
  } catch (error) {
    for (const exchange of exchanges) {
      // Where that fails, whoever finds the journal does it.
      await takeBack(connection, exchange, signal).catch(() => null);
    }
    throw error;
  }
  reach('swap-moved');
  const warnings: Warning[] = [];
  for (const exchange of exchanges) {
    warnings.push(...(await finishExchange(connection, exchange, signal)));
    reach('swap-finished');
  }
  return warnings;
}

function rowOf(rows: ReadonlyMap<string, DatabaseRow>, name: string): DatabaseRow {
  const row = rows.get(name);
  if (row === undefined) {
    throw new Error(`database "${name}" is gone`);
  }
  return row;
}
