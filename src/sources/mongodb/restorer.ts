import type { Comparison } from '../../core/facts.ts';
import { newRestoreRun } from '../../core/restore-run.ts';
import {
  targetOf,
  type Beside,
  type Journal,
  type JournalState,
  type Previous,
  type Restorer,
  type RestorePlan,
  type Swapped,
} from '../../core/restorer.ts';
import type { TargetRef } from '../../core/target.ts';
import { reach } from '../../core/steps.ts';
import { discardBeside, dropAll } from './beside.ts';
import { withClient, type Client } from './client.ts';
import { compareDatabase } from './compare.ts';
import type { Connection } from './connection.ts';
import { listCollections } from './databases.ts';
import { settle } from './exchange.ts';
import { previousOf, readPrevious, sideInUse, undoExchanges } from './kept.ts';
import { loadBeside, markOf, recordOf } from './load.ts';
import { readMark, removeMark, writeMark, type Exchange, type Mark } from './marks.ts';
import { keptPrefix } from './names.ts';
import { lookAhead } from './preflight.ts';
import { strayPrefix } from './strays.ts';
import { namesOf } from './views.ts';

/** Once begun a swap comes to an end; this only keeps a dead Docker engine from holding it for ever. */
const SWAP_TIMEOUT_MS = 300_000;

type Connect = (at: TargetRef, signal: AbortSignal) => Promise<Connection>;

/** How a restorer reaches a server. */
export interface Connects {
  /** For who holds the source's lock, and finishes what somebody else began: ends what that left. */
  readonly takeOver: Connect;
  /** For who holds the source's lock. */
  readonly work: Connect;
  /** For who only looks. */
  readonly look: Connect;
}

/** Whose a restore is. */
export interface Owner {
  readonly source: string;
  /** `<identity>/<source>/` */
  readonly owner: string;
}

/** Does work in a server that is reached anew. */
async function inServer<Result>(
  connect: Connect,
  at: TargetRef,
  signal: AbortSignal,
  task: (client: Client) => Promise<Result>,
): Promise<Result> {
  return withClient(await connect(at, signal), 'restore-failed', signal, task);
}

/** Restores MongoDB databases: collections are loaded beside under other names, compared, and swapped by renaming them. */
export function mongodbRestorer(owner: Owner, { takeOver, work, look }: Connects): Restorer {
  const { source } = owner;
  return {
    async preflight(into, plan, signal) {
      const connection = await look(into, signal);
      return withClient(connection, 'target-unavailable', signal, async (client) =>
        lookAhead(connection, client, plan, signal),
      );
    },

    async build(into, plan, journal, signal) {
      const { run } = plan;
      await journal.write({ step: 'building', source, engine: 'mongodb', target: into, run });
      reach('restore-journaled');
      const connection = await work(into, signal);
      return withClient(connection, 'restore-failed', signal, async (client) =>
        loadBeside(connection, client, { into, plan, mark: markOf(plan, owner) }, signal),
      );
    },

    async compare(beside, plan, signal) {
      return inServer(work, beside.target, signal, async (client) =>
        compareAll(client, beside, plan),
      );
    },

    async swap(beside, plan, journal, signal) {
      signal.throwIfAborted();
      // From here on it comes to an end, whatever is aborted.
      const limit = AbortSignal.timeout(SWAP_TIMEOUT_MS);
      return inServer(work, beside.target, limit, async (client) => {
        const { id } = plan.manifest;
        await journal.write({ step: 'swapping', source, engine: 'mongodb', id, beside });
        reach('swap-journaled');
        for (const { restoredAs } of beside.databases) {
          plan.onProgress({ stage: 'swap', database: restoredAs });
        }
        return swapIn(client, beside);
      });
    },

    async resume(state, signal) {
      return inServer(takeOver, targetOf(state), signal, async (client) =>
        resumeRestore(client, state),
      );
    },

    async previous(at, signal) {
      return inServer(look, at, signal, async (client) => readPrevious(client, source, at));
    },

    async undo(previous, journal, signal) {
      signal.throwIfAborted();
      const limit = AbortSignal.timeout(SWAP_TIMEOUT_MS);
      return inServer(work, previous.target, limit, async (client) =>
        undoRestore(client, previous, { journal, owner: owner.owner }),
      );
    },

    async dropPrevious(previous, signal) {
      await inServer(work, previous.target, signal, async (client) => dropKept(client, previous));
    },

    async discard({ run, target }, signal) {
      await inServer(work, target, signal, async (client) => discardBeside(client, run));
    },
  };
}

async function compareAll(
  client: Client,
  beside: Beside,
  plan: RestorePlan,
): Promise<ReadonlyMap<string, Comparison>> {
  const comparisons = new Map<string, Comparison>();
  for (const database of beside.databases) {
    plan.onProgress({ stage: 'compare', database: database.name });
    const expected = plan.manifest.facts.databases[database.name];
    if (expected !== undefined) {
      const views = recordOf(plan, database.name).views.length;
      comparisons.set(database.name, await compareDatabase(client, database, { expected, views }));
    }
  }
  return comparisons;
}

/** Decides by one write that all databases change places, and then does it. */
async function begin(client: Client, mark: Mark): Promise<Awaited<ReturnType<typeof settle>>> {
  await writeMark(client, mark);
  reach('swap-prepared');
  const begun: Mark = { ...mark, state: 'forward' };
  await writeMark(client, begun);
  reach('swap-sent');
  return settle(client, begun);
}

async function swapIn(client: Client, { run, target }: Beside): Promise<Swapped> {
  const built = await readMark(client, run);
  if (built === null) {
    throw new Error('nothing was built for this restore');
  }
  const exchanges: Exchange[] = [];
  for (const { database, incoming } of built.exchanges) {
    const rows = await listCollections(client, database);
    const loaded = namesOf(rows).filter((name) => name.startsWith(incoming.prefix));
    const collections = loaded.map((name) => name.slice(incoming.prefix.length));
    const outgoing = await sideInUse(client, database, run);
    exchanges.push({ database, incoming: { ...incoming, collections }, outgoing });
  }
  const { mark, warnings } = await begin(client, { ...built, exchanges });
  return { previous: previousOf(mark, target), warnings };
}

async function undoRestore(
  client: Client,
  previous: Previous,
  { journal, owner }: { readonly journal: Journal; readonly owner: string },
): Promise<Previous> {
  const run = newRestoreRun();
  const restored = await readMark(client, previous.run);
  const exchanges = await undoExchanges(client, previous, { restored, run });
  const keptAs = previous.databases.map(({ name }) => `${name}.${keptPrefix(run)}*`);
  const { source, engine, target } = previous;
  await journal.write({ step: 'undoing', source, engine, run, previous, keptAs });
  reach('undo-journaled');
  const at = new Date().toISOString();
  const { mark } = await begin(client, {
    run,
    owner,
    source,
    at,
    state: 'building',
    undoes: previous.run,
    copy: null,
    exchanges,
  });
  await removeMark(client, previous.run);
  return previousOf(mark, target);
}

/** Finishes or reverses what a dead process left: the server's own mark says which side of the decision it was on. */
async function resumeRestore(client: Client, state: JournalState): Promise<Previous | null> {
  if (state.step === 'building') {
    await discardBeside(client, state.run);
    return null;
  }
  const run = state.step === 'swapping' ? state.beside.run : state.run;
  const found = await readMark(client, run);
  if (found === null) {
    return null;
  }
  const { mark } = await settle(client, found);
  if (mark.state !== 'kept') {
    await discardBeside(client, run);
    return null;
  }
  if (mark.undoes !== null) {
    await removeMark(client, mark.undoes);
  }
  return previousOf(mark, targetOf(state));
}

/** Only what a restore put aside and marked: never what is in use. */
async function dropKept(client: Client, { run }: Previous): Promise<void> {
  const mark = await readMark(client, run);
  if (mark?.state === 'kept') {
    for (const { database, outgoing } of mark.exchanges) {
      await dropAll(client, database, outgoing.prefix);
      await dropAll(client, database, strayPrefix(outgoing.prefix));
    }
    await removeMark(client, run);
  }
}
