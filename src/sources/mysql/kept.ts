import { BackupdError } from '../../core/errors.ts';
import type { Beside, BesideDatabase, Previous, PreviousDatabase } from '../../core/restorer.ts';
import type { Engine, TargetRef } from '../../core/target.ts';
import type { DatabaseRow } from './databases.ts';
import type { Exchange } from './exchange.ts';
import { besideName } from './names.ts';

/** Whose a restore is. */
export interface Owner {
  readonly source: string;
  readonly engine: Engine;
}

/** What a restore exchanges for what it loaded beside. */
export function restoreExchanges(beside: Beside, source: string): readonly Exchange[] {
  return beside.databases.map((database) => exchangeOf(beside.run, source, database));
}

function exchangeOf(run: string, source: string, database: BesideDatabase): Exchange {
  return {
    run,
    source,
    name: database.restoredAs,
    incoming: database.temporary,
    outgoing: database.live?.keptAs ?? null,
    dropAfter: false,
  };
}

/** What an undo exchanges: what is in use goes to `keptAs`, what was kept comes back. Where nothing was, something empty comes. */
export function undoExchanges(
  { source, databases }: Previous,
  keptAs: readonly string[],
  run: string,
): readonly Exchange[] {
  return databases.map(({ name, currentId, kept }, index) => ({
    run,
    source,
    name,
    incoming: kept?.name ?? besideName(run, index),
    outgoing: currentId === null ? null : (keptAs[index] ?? ''),
    dropAfter: kept === null,
  }));
}

/** What a swap of this restore leaves behind. */
export function previousOf(beside: Beside, { source, engine }: Owner, at: string): Previous {
  return {
    run: beside.run,
    source,
    engine,
    target: beside.target,
    replacedAt: at,
    databases: beside.databases.map(({ restoredAs, live }) => ({
      name: restoredAs,
      currentId: restoredAs,
      kept: live === null ? null : { id: live.keptAs, name: live.keptAs },
    })),
  };
}

/** After an undo what was in use is kept in turn, so that undo twice is redo. */
export function undone(previous: Previous, keptAs: readonly string[], run: string): Previous {
  return {
    ...previous,
    run,
    replacedAt: new Date().toISOString(),
    databases: previous.databases.map(({ name, currentId, kept }, index) => {
      const other = keptAs[index] ?? '';
      return {
        name,
        currentId: kept === null ? null : name,
        kept: currentId === null ? null : { id: other, name: other },
      };
    }),
  };
}

/** What the server itself says of kept databases, newest restore first. */
export function readPrevious(
  rows: readonly DatabaseRow[],
  { source, engine }: Owner,
  at: TargetRef,
): readonly Previous[] {
  const names = new Set(rows.map(({ name }) => name));
  const byRun = new Map<string, Previous>();
  for (const { name: keptAs, kept } of rows) {
    if (kept !== null && kept.source === source) {
      const known = byRun.get(kept.run);
      const database: PreviousDatabase = {
        name: kept.name,
        currentId: names.has(kept.name) ? kept.name : null,
        kept: { id: keptAs, name: keptAs },
      };
      byRun.set(kept.run, {
        run: kept.run,
        source,
        engine,
        target: at,
        replacedAt: kept.at,
        databases: [...(known?.databases ?? []), database],
      });
    }
  }
  return [...byRun.values()].toSorted((one, other) =>
    other.replacedAt.localeCompare(one.replacedAt),
  );
}

/** An undo is of what the restore left: what was dropped since cannot come back. */
export function checkUndo({ databases, run }: Previous, rows: readonly DatabaseRow[]): void {
  for (const { name, currentId, kept } of databases) {
    const row = rows.find((candidate) => candidate.name === kept?.name);
    if (kept !== null && row?.kept?.run !== run) {
      throw new BackupdError(
        'nothing-to-undo',
        `"${kept.name}", which the restore kept, is not there any more`,
        { hint: 'Somebody dropped it since.' },
      );
    }
    const isThere = rows.some((candidate) => candidate.name === name);
    if (isThere !== (currentId !== null)) {
      throw new BackupdError(
        'nothing-to-undo',
        isThere
          ? `there is a database "${name}", which the restore did not put there`
          : `"${name}", which the restore put there, is not there any more`,
        { hint: 'Somebody made or dropped it since.' },
      );
    }
  }
}
