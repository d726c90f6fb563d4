import { BackupdError } from '../../core/errors.ts';
import type { Journal, Previous } from '../../core/restorer.ts';
import type { TargetRef } from '../../core/target.ts';
import { newRestoreRun } from '../../core/restore-run.ts';
import { reach } from '../../core/steps.ts';
import type { Connection } from './connection.ts';
import { listDatabases, type DatabaseRow } from './databases.ts';
import { freeName } from './load.ts';
import {
  markStatement,
  runSwap,
  undoRenames,
  unmarkStatement,
  SWAP_TIMEOUT_MS,
  type SwapScript,
} from './swap.ts';

/** Swaps back what a restore replaced and keeps what is in use now. */
export async function undoRestore(
  connection: Connection,
  previous: Previous,
  journal: Journal,
): Promise<Previous> {
  const { source } = previous;
  const rows = await listDatabases(
    connection,
    'restore-failed',
    AbortSignal.timeout(SWAP_TIMEOUT_MS),
  );
  checkUndo(previous, rows);
  const run = newRestoreRun();
  const taken = new Set(rows.map((row) => row.name));
  const keptAs = previous.databases.map((database) => {
    const name = freeName(database.name, run, taken);
    taken.add(name);
    return name;
  });
  await journal.write({ step: 'undoing', source, engine: 'postgres', run, previous, keptAs });
  reach('undo-journaled');
  await runSwap(
    connection,
    undoScript(previous, keptAs, run),
    AbortSignal.timeout(SWAP_TIMEOUT_MS),
  );
  return undone(previous, keptAs, run);
}

function undoScript(previous: Previous, keptAs: readonly string[], run: string): SwapScript {
  const at = new Date().toISOString();
  const statements = previous.databases.flatMap((database, index) => [
    ...(database.kept === null ? [] : [unmarkStatement(database.name)]),
    ...(database.currentId === null
      ? []
      : [
          markStatement(keptAs[index] ?? '', {
            run,
            source: previous.source,
            name: database.name,
            at,
          }),
        ]),
  ]);
  return { renames: undoRenames(previous.databases, keptAs), statements };
}

/** After an undo what was in use is kept in turn, so that undo twice is redo; what the restore had created is only set aside. */
export function undone(previous: Previous, keptAs: readonly string[], run: string): Previous {
  return {
    run,
    source: previous.source,
    engine: 'postgres',
    target: previous.target,
    replacedAt: new Date().toISOString(),
    databases: previous.databases.map((database, index) => ({
      name: database.name,
      currentId: database.kept?.id ?? null,
      kept:
        database.currentId === null ? null : { id: database.currentId, name: keptAs[index] ?? '' },
    })),
  };
}

/** What the server itself says of kept databases, newest restore first. */
export function readPrevious(
  rows: readonly DatabaseRow[],
  source: string,
  at: TargetRef,
): readonly Previous[] {
  const byRun = new Map<string, Previous>();
  for (const row of rows) {
    const mark = row.previous;
    if (mark !== null && mark.source === source) {
      const known = byRun.get(mark.run);
      const current = rows.find((candidate) => candidate.name === mark.name);
      const database = {
        name: mark.name,
        currentId: current?.oid ?? null,
        kept: { id: row.oid, name: row.name },
      };
      byRun.set(mark.run, {
        run: mark.run,
        source,
        engine: 'postgres',
        target: at,
        replacedAt: mark.at,
        databases: [...(known?.databases ?? []), database],
      });
    }
  }
  return [...byRun.values()].toSorted((one, other) =>
    other.replacedAt.localeCompare(one.replacedAt),
  );
}

/** An undo is of what the restore left: a database renamed or dropped since is not ours to touch. */
function checkUndo(previous: Previous, rows: readonly DatabaseRow[]): void {
  for (const database of previous.databases) {
    const kept = rows.find((row) => row.oid === database.kept?.id);
    const current = rows.find((row) => row.oid === database.currentId);
    if (database.kept !== null && kept?.name !== database.kept.name) {
      throw new BackupdError(
        'nothing-to-undo',
        `"${database.kept.name}", which the restore kept, is not there any more`,
        {
          hint: 'Somebody dropped or renamed it since.',
        },
      );
    }
    if (database.currentId !== null && current?.name !== database.name) {
      throw new BackupdError(
        'nothing-to-undo',
        `"${database.name}" is not the database that the restore put there`,
        {
          hint: 'Somebody dropped or renamed it since. Rename the databases by hand with ALTER DATABASE ... RENAME TO.',
        },
      );
    }
  }
}
