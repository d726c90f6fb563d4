import type { Comparison } from '../../core/facts.ts';
import {
  targetOf,
  type Beside,
  type Journal,
  type JournalState,
  type Previous,
  type Restorer,
  type RestorePlan,
} from '../../core/restorer.ts';
import type { TargetRef } from '../../core/target.ts';
import { newRestoreRun } from '../../core/restore-run.ts';
import { reach } from '../../core/steps.ts';
import { killRun } from '../../docker/kill.ts';
import { runPrefix } from '../runs.ts';
import { discardBeside } from './beside.ts';
import { compareDatabase } from './compare.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { listDatabases } from './databases.ts';
import { hasMoved, takeBack, type Exchange } from './exchange.ts';
import { finishExchange } from './finish.ts';
import {
  checkUndo,
  previousOf,
  readPrevious,
  restoreExchanges,
  undoExchanges,
  undone,
  type Owner,
} from './kept.ts';
import { loadBeside, type Loaded } from './load.ts';
import { freeName } from './names.ts';
import { lookAhead } from './preflight.ts';
import { grantAll } from './restore-users.ts';
import { waitForRun } from './run-lock.ts';
import { withSession } from './session.ts';
import { quoteName } from './sql.ts';
import { swapIn, undoIn } from './swap.ts';

/** Once begun a swap comes to an end; this only keeps a dead Docker engine from holding it for ever. */
const SWAP_TIMEOUT_MS = 300_000;

type Connect = (at: TargetRef, signal: AbortSignal) => Promise<Connection>;

/** How a restorer reaches a server. */
export interface Connects {
  /** For who holds the source's lock. */
  readonly work: Connect;
  /** For who only looks. */
  readonly look: Connect;
}

interface Building {
  readonly connection: Connection;
  readonly loaded: Loaded;
}

/** Restores MySQL and MariaDB databases: loaded beside, compared, swapped by moving their tables. */
export function mysqlRestorer(owner: Owner, { work: connect, look }: Connects): Restorer {
  /** What a restore loaded beside; it goes on to compare and to swap. */
  const building = new WeakMap<RestorePlan, Building>();

  return {
    async preflight(into, plan, signal) {
      return lookAhead(await look(into, signal), plan, signal);
    },

    async build(into, plan, journal, signal) {
      const { run } = plan;
      await journal.write({ step: 'building', ...owner, target: into, run });
      reach('restore-journaled');
      const connection = await connect(into, signal);
      const loaded = await withSession(connection, signal, async (session) =>
        loadBeside(session, into, plan, signal),
      );
      building.set(plan, { connection, loaded });
      return loaded.beside;
    },

    async compare(beside, plan, signal) {
      const { connection, loaded } = builtOf(building, plan);
      return withSession(connection, signal, async (session) =>
        compareAll({ connection: session, loaded }, beside, plan, signal),
      );
    },

    async swap(beside, plan, journal, signal) {
      signal.throwIfAborted();
      // From here on it comes to an end, whatever is aborted.
      const limit = AbortSignal.timeout(SWAP_TIMEOUT_MS);
      const { objects } = builtOf(building, plan).loaded;
      return inSession(connect, beside.target, limit, async (session) =>
        swapIn(session, { owner, beside, plan, objects }, journal, limit),
      );
    },

    async resume(state, signal) {
      return inSession(connect, targetOf(state), signal, async (session) =>
        resumeRestore(session, state, signal),
      );
    },

    async previous(at, signal) {
      const connection = await look(at, signal);
      return readPrevious(await listDatabases(connection, 'restore-failed', signal), owner, at);
    },

    async undo(previous, journal, signal) {
      signal.throwIfAborted();
      const limit = AbortSignal.timeout(SWAP_TIMEOUT_MS);
      return inSession(connect, previous.target, limit, async (session) =>
        undoRestore(session, previous, journal, limit),
      );
    },

    async dropPrevious(previous, signal) {
      await dropKept(await connect(previous.target, signal), previous, signal);
    },

    async discard({ run, target }, signal) {
      await discardBeside(await connect(target, signal), run, signal);
    },
  };
}

function builtOf(building: WeakMap<RestorePlan, Building>, plan: RestorePlan): Building {
  const found = building.get(plan);
  if (found === undefined) {
    throw new Error('nothing was built for this plan');
  }
  return found;
}

async function inSession<Result>(
  connect: Connect,
  at: TargetRef,
  signal: AbortSignal,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  return withSession(await connect(at, signal), signal, work);
}

async function compareAll(
  { connection, loaded }: Building,
  beside: Beside,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Comparison>> {
  const comparisons = new Map<string, Comparison>();
  for (const database of beside.databases) {
    plan.onProgress({ stage: 'compare', database: database.name });
    const expected = plan.manifest.facts.databases[database.name];
    if (expected !== undefined) {
      const objects = loaded.objects.get(database.name) ?? [];
      comparisons.set(
        database.name,
        await compareDatabase(connection, database, { expected, objects }, signal),
      );
    }
  }
  return comparisons;
}

async function undoRestore(
  connection: Connection,
  previous: Previous,
  journal: Journal,
  signal: AbortSignal,
): Promise<Previous> {
  const rows = await listDatabases(connection, 'restore-failed', signal);
  checkUndo(previous, rows);
  const run = newRestoreRun();
  const taken = new Set(rows.map((row) => row.name));
  const keptAs = previous.databases.map(({ name }) => {
    const free = freeName(name, run, taken);
    taken.add(free);
    return free;
  });
  const { source, engine } = previous;
  await journal.write({ step: 'undoing', source, engine, run, previous, keptAs });
  reach('undo-journaled');
  await undoIn(connection, undoExchanges(previous, keptAs, run), signal);
  return undone(previous, keptAs, run);
}

/** Finishes or reverses what a dead process left: whether the tables have moved says which side it was on. */
async function resumeRestore(
  connection: Connection,
  state: JournalState,
  signal: AbortSignal,
): Promise<Previous | null> {
  // What a dead process had sent its client would go on, one statement after the other.
  const { docker, containerId, container, run: own } = connection;
  await killRun(docker, { containerId, container }, { prefix: runPrefix(own) }, signal);
  switch (state.step) {
    case 'building':
      await discardBeside(connection, state.run, signal);
      return null;
    case 'swapping': {
      const { beside, source } = state;
      if (!(await settle(connection, restoreExchanges(beside, source), signal))) {
        await discardBeside(connection, beside.run, signal);
        return null;
      }
      await grantAll(connection, beside.statements, signal);
      return previousOf(beside, state, new Date().toISOString());
    }
    case 'undoing': {
      const { previous, keptAs, run } = state;
      return (await settle(connection, undoExchanges(previous, keptAs, run), signal))
        ? undone(previous, keptAs, run)
        : null;
    }
  }
}

/** @returns whether the tables had moved: then all that follows is done; else all that came before is taken back */
async function settle(
  connection: Connection,
  exchanges: readonly Exchange[],
  signal: AbortSignal,
): Promise<boolean> {
  const [first] = exchanges;
  if (first === undefined) {
    return false;
  }
  await waitForRun(connection, first.run, signal);
  const moved = await hasMoved(connection, first, signal);
  for (const exchange of exchanges) {
    await (moved
      ? finishExchange(connection, exchange, signal)
      : takeBack(connection, exchange, signal));
  }
  return moved;
}

/** Only what a restore put aside and marked: never what is in use. */
async function dropKept(
  connection: Connection,
  { databases, run }: Previous,
  signal: AbortSignal,
): Promise<void> {
  const rows = await listDatabases(connection, 'restore-failed', signal);
  for (const { kept } of databases) {
    const row = rows.find((candidate) => candidate.name === kept?.name);
    if (row?.kept?.run === run) {
      const sql = `drop database ${quoteName(row.name)};`;
      await query(connection, { sql, code: 'restore-failed' }, signal);
    }
  }
}
