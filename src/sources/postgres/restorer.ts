import type { Comparison } from '../../core/facts.ts';
import {
  targetOf,
  type Beside,
  type Journal,
  type Previous,
  type Restorer,
  type RestorePlan,
} from '../../core/restorer.ts';
import type { TargetRef } from '../../core/target.ts';
import { reach } from '../../core/steps.ts';
import { waitForAll } from '../../core/wait-for-all.ts';
import { discardBeside, dropDatabase } from './beside.ts';
import { analyzeDatabase, compareDatabase } from './compare.ts';
import type { Connection } from './connection.ts';
import { listDatabases } from './databases.ts';
import { loadBeside } from './load.ts';
import { lookAhead } from './preflight.ts';
import { connectWhenReady, type Presence } from './readiness.ts';
import { resumeRestore } from './resume.ts';
import { quoteIdent } from './sql.ts';
import {
  markStatement,
  previousOf,
  restoreRenames,
  runSwap,
  SWAP_TIMEOUT_MS,
  type SwapScript,
} from './swap.ts';
import { readPrevious, undoRestore } from './undo.ts';

type Connect = (at: TargetRef, signal: AbortSignal) => Promise<Connection>;

/** How a restorer reaches a server. */
export interface Connects {
  /** For who holds the source's lock. */
  readonly work: Connect;
  /** For who only looks. */
  readonly look: Connect;
  readonly ask: (at: TargetRef, isExpected: boolean, signal: AbortSignal) => Promise<Presence>;
}

/** Restores PostgreSQL databases: loaded beside, compared, swapped by rename. */
export function postgresRestorer(source: string, { work: connect, look, ask }: Connects): Restorer {
  /** How a restore that loaded beside was connected; it goes on to compare. */
  const building = new WeakMap<RestorePlan, Connection>();

  return {
    async preflight(into, plan, signal) {
      const connection = await connectWhenReady(
        {
          connect: async () => look(into, signal),
          ask: async (isExpected) => ask(into, isExpected, signal),
        },
        signal,
      );
      return lookAhead(connection, plan, signal);
    },

    async build(into, plan, journal, signal) {
      const { run } = plan;
      await journal.write({ step: 'building', source, engine: 'postgres', target: into, run });
      reach('restore-journaled');
      const connection = await connect(into, signal);
      building.set(plan, connection);
      return loadBeside(connection, into, plan, signal);
    },

    compare: async (beside, plan, signal) =>
      compareAll(
        building.get(plan) ?? (await connect(beside.target, signal)),
        beside,
        plan,
        signal,
      ),

    async swap(beside, plan, journal, signal) {
      signal.throwIfAborted();
      // From here on it comes to an end, whatever is aborted.
      const connection = await connect(beside.target, AbortSignal.timeout(SWAP_TIMEOUT_MS));
      const previous = await swapIn(connection, { source, beside, plan }, journal);
      return { previous, warnings: [] };
    },

    async resume(state, signal) {
      const target = targetOf(state);
      return resumeRestore(await connect(target, signal), state, signal);
    },

    async previous(at, signal) {
      const connection = await look(at, signal);
      return readPrevious(await listDatabases(connection, 'restore-failed', signal), source, at);
    },

    async undo(previous, journal, signal) {
      const connection = await connect(previous.target, signal);
      return undoRestore(connection, previous, journal);
    },

    async dropPrevious(previous, signal) {
      const connection = await connect(previous.target, signal);
      await dropKept(connection, previous, signal);
    },

    async discard({ run, target }, signal) {
      await discardBeside(await connect(target, signal), run, signal);
    },
  };
}

async function compareAll(
  connection: Connection,
  beside: Beside,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Comparison>> {
  const comparisons = new Map<string, Comparison>();
  for (const database of beside.databases) {
    plan.onProgress({ stage: 'compare', database: database.name });
    const expected = plan.manifest.facts.databases[database.name];
    // Both read every table: the second finds it in memory.
    const [comparison] = await waitForAll([
      expected === undefined
        ? Promise.resolve(null)
        : compareDatabase(connection, database, expected, signal),
      analyzeDatabase(connection, database, signal),
    ]);
    if (comparison !== null) {
      comparisons.set(database.name, comparison);
    }
  }
  return comparisons;
}

interface Swapping {
  readonly source: string;
  readonly beside: Beside;
  readonly plan: RestorePlan;
}

async function swapIn(
  connection: Connection,
  { source, beside, plan }: Swapping,
  journal: Journal,
): Promise<Previous> {
  for (const database of beside.databases) {
    plan.onProgress({ stage: 'swap', database: database.restoredAs });
  }
  const { id } = plan.manifest;
  await journal.write({ step: 'swapping', source, engine: 'postgres', id, beside });
  reach('swap-journaled');
  await runSwap(connection, restoreScript(beside, source), AbortSignal.timeout(SWAP_TIMEOUT_MS));
  return previousOf(beside, source, new Date().toISOString());
}

function restoreScript(beside: Beside, source: string): SwapScript {
  const at = new Date().toISOString();
  const marks = beside.databases.flatMap((database) =>
    database.live === null
      ? []
      : [
          markStatement(database.live.keptAs, {
            run: beside.run,
            source,
            name: database.restoredAs,
            at,
          }),
        ],
  );
  const unmark = beside.databases.map(
    (database) => `alter database ${quoteIdent(database.restoredAs)} reset backupd.beside;`,
  );
  return {
    renames: restoreRenames(beside),
    statements: [...unmark, ...beside.statements, ...marks],
  };
}

/** Only what a restore put aside and marked: never what is in use. */
async function dropKept(
  connection: Connection,
  previous: Previous,
  signal: AbortSignal,
): Promise<void> {
  const rows = await listDatabases(connection, 'restore-failed', signal);
  for (const { kept } of previous.databases) {
    const row = rows.find((candidate) => candidate.oid === kept?.id);
    if (row !== undefined && row.previous !== null) {
      await dropDatabase(connection, row.name, signal);
    }
  }
}
