import { BackupdError } from '../core/errors.ts';
import type { Source } from '../core/source.ts';
import type { Previous, PreviousDatabase } from '../core/restorer.ts';
import { containerOfTarget, targetName } from '../core/target.ts';
import { reach } from '../core/steps.ts';
import { hasJournal, journal } from '../store/journal.ts';
import { acquireLock, type Lock } from '../store/lock.ts';
import { debtOf } from '../store/owed.ts';
import { readPrevious, recordPrevious, removePrevious } from '../store/previous.ts';
import type { App } from './context.ts';
import { noted } from './note-restore.ts';
import { findRunning } from './plan-restore.ts';
import { asTargetFailure } from './target-failure.ts';
import type { RestoreReport } from './restore.ts';
import { recordInterrupted, resumeByJournal } from './recover.ts';
import { resumeOwn } from './resume.ts';
import { throwAfterRestore, whileHalted } from './while-halted.ts';

export interface UndoRequest {
  readonly source: string;
  /** How long to wait for another run of the source; 0: not at all. */
  readonly waitMs: number;
}

export interface UndoSwapRequest extends UndoRequest {
  /** Containers to be stopped before the swap, and started after it. */
  readonly stop: readonly string[];
}

/** What an undo will do. */
export interface UndoDecision {
  readonly source: string;
  /** The container. */
  readonly into: string;
  /** When the restore that is undone replaced them. */
  readonly replacedAt: string;
  /** Null: the restore had created the database, and it is set aside. */
  readonly databases: readonly { readonly name: string; readonly keptAs: string | null }[];
  /** Those of the containers to be stopped that run now. */
  readonly stops: readonly string[];
  /** The containers to be stopped, as they were named. */
  readonly stop: readonly string[];
  readonly waitMs: number;
}

/** The newest restore of a source, as its target is now. */
interface Undoable {
  readonly source: Source;
  readonly previous: Previous;
}

/**
 * Tells what an undo of the newest restore of a source swaps back.
 * @throws BackupdError `nothing-to-undo`
 */
export async function planUndo(
  request: UndoSwapRequest,
  app: App,
  signal: AbortSignal,
): Promise<UndoDecision> {
  if (await hasJournal(app.context.storage.dir, request.source)) {
    // What an interrupted restore swapped can be undone, too.
    await using lock = await lockSource(request.source, request.waitMs, app, signal);
    await resumeByJournal(request.source, app, AbortSignal.any([signal, lock.lost]));
  }
  const { source, previous } = await findUndoable(request.source, app, signal);
  const there = await keptNow({ source, previous }, signal);
  const gone = previous.databases.flatMap(({ kept }) =>
    kept === null || there.has(kept.id) ? [] : [kept.name],
  );
  if (gone.length > 0) {
    throw nothingToUndo(request.source, `what it replaced is gone: ${gone.join(', ')}`);
  }
  const running = await findRunning(request.stop, previous.target, app.context, signal);
  return {
    source: request.source,
    stops: running.map(({ container }) => container),
    stop: request.stop,
    into: targetName(previous.target),
    replacedAt: previous.replacedAt,
    databases: previous.databases.map(({ name, kept }) => ({ name, keptAs: kept?.name ?? null })),
    waitMs: request.waitMs,
  };
}

/** Swaps back what the newest restore replaced, and keeps what is in use now: done twice, it is a redo. */
export async function runUndo(
  decision: UndoDecision,
  app: App,
  signal: AbortSignal,
): Promise<RestoreReport> {
  const began = performance.now();
  const { dir } = app.context.storage;
  await using lock = await lockSource(decision.source, decision.waitMs, app, signal);
  const running = AbortSignal.any([signal, lock.lost]);
  return await noted({ dir, source: decision.source, id: null }, async () => {
    await resumeByJournal(decision.source, app, running);
    const { into, databases } = await swapBack(decision, app, running);
    const durationMs = Math.round(performance.now() - began);
    return { source: decision.source, id: null, into, databases, durationMs, warnings: [] };
  });
}

async function swapBack(
  { source: name, stop }: UndoDecision,
  app: App,
  running: AbortSignal,
): Promise<Pick<RestoreReport, 'into' | 'databases'>> {
  const { dir } = app.context.storage;
  const { source, previous } = await findUndoable(name, app, running);
  const log = journal(dir, name);
  const debt = debtOf(dir, { source: name, halted: [], after: null });
  const halting = { wish: { stop, pause: [] }, target: containerOfTarget(previous.target), debt };
  const { result: replaced, failure } = await whileHalted(
    halting,
    app.context,
    running,
    async () => {
      try {
        const undone = await source.restorer.undo(previous, log, running);
        reach('undone');
        await recordPrevious(dir, undone);
        await removePrevious(dir, name, previous.run);
        reach('undo-recorded');
        await log.clear();
        return undone;
      } catch (error) {
        // Before its containers run again. Where that fails as well the journal stays, and the next start of anything does it.
        const kept = await resumeOwn(source, app.context).catch(() => null);
        if (kept === null) {
          throw error;
        }
        return kept;
      }
    },
  );
  throwAfterRestore(failure);
  return {
    into: targetName(previous.target),
    databases: replaced.databases.map((database) => ({
      name: database.name,
      restoredAs: database.name,
      previous: database.kept?.name ?? null,
      facts: null,
    })),
  };
}

/** Drops for good what restores of a source kept. The only thing in backupd that does. */
export async function dropPrevious(
  request: UndoRequest,
  app: App,
  signal: AbortSignal,
): Promise<{ readonly source: string; readonly dropped: readonly string[] }> {
  const { dir } = app.context.storage;
  await using lock = await lockSource(request.source, request.waitMs, app, signal);
  const running = AbortSignal.any([signal, lock.lost]);
  await resumeByJournal(request.source, app, running);
  const dropped: string[] = [];
  for (const { source, previous } of await findStillKept(request.source, app, running)) {
    await source.restorer.dropPrevious(previous, running);
    await removePrevious(dir, request.source, previous.run);
    dropped.push(...keptNames(previous));
  }
  if (dropped.length === 0) {
    throw nothingToUndo(request.source, 'no restore kept anything');
  }
  return { source: request.source, dropped };
}

/** The names of what `--drop-previous` would drop. */
export async function listPrevious(
  request: UndoRequest,
  app: App,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const kept = await findStillKept(request.source, app, signal);
  return kept.flatMap(({ previous }) => keptNames(previous));
}

function keptNames(previous: Previous): readonly string[] {
  return previous.databases.flatMap(({ kept }) => (kept === null ? [] : [kept.name]));
}

async function lockSource(
  source: string,
  waitMs: number,
  app: App,
  signal: AbortSignal,
): Promise<Lock> {
  const { context } = app;
  await using stack = new AsyncDisposableStack();
  const request = { command: context.command, waitMs };
  const lock = stack.use(await acquireLock(context.storage.dir, source, request, signal));
  await recordInterrupted(source, lock.dead, context);
  stack.move();
  return lock;
}

async function findUndoable(name: string, app: App, signal: AbortSignal): Promise<Undoable> {
  const [newest] = await findAllKept(name, app, signal);
  if (newest === undefined) {
    throw nothingToUndo(name, 'no restore of it is recorded');
  }
  return newest;
}

/**
 * Everything restores of a source kept, newest first: as recorded here, and as the server itself says, since `/backups`
 * may be a new one.
 */
async function findAllKept(
  name: string,
  app: App,
  signal: AbortSignal,
): Promise<readonly Undoable[]> {
  const recorded = await readPrevious(app.context.storage.dir, name);
  const found: Undoable[] = [];
  for (const previous of recorded) {
    const { source } = await app.bind(
      { source: name, engine: previous.engine, target: previous.target },
      targetName(previous.target),
      signal,
    );
    const target = await source.refind(previous.target, signal);
    if (target !== null) {
      found.push({ source, previous: { ...previous, target } });
    }
  }
  if (recorded.length > 0) {
    return found;
  }
  const own = (await app.discover(signal)).sources.find(({ job }) => job.source === name)?.source;
  if (own === undefined) {
    return [];
  }
  const target = await own.locate(signal);
  const known = await asTargetFailure(() => own.restorer.previous(target, signal));
  return known.map((previous) => ({ source: own, previous }));
}

/** The same as the server has it now: without what somebody dropped since or took into use again, and by the names of now. */
async function findStillKept(
  name: string,
  app: App,
  signal: AbortSignal,
): Promise<readonly Undoable[]> {
  const still: Undoable[] = [];
  for (const { source, previous } of await findAllKept(name, app, signal)) {
    const there = await keptNow({ source, previous }, signal);
    const databases = previous.databases
      .filter(({ kept }) => kept === null || there.has(kept.id))
      .map((database) => ({ ...database, kept: there.get(database.kept?.id ?? '') ?? null }));
    still.push({ source, previous: { ...previous, databases } });
  }
  return still;
}

/** What the target keeps now, by id. */
async function keptNow(
  { source, previous }: Undoable,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, NonNullable<PreviousDatabase['kept']>>> {
  const known = await asTargetFailure(() => source.restorer.previous(previous.target, signal));
  return new Map(
    known.flatMap(({ databases }) =>
      databases.flatMap(({ kept }) => (kept === null ? [] : [[kept.id, kept] as const])),
    ),
  );
}

function nothingToUndo(source: string, why: string): BackupdError {
  return new BackupdError('nothing-to-undo', `nothing to undo for "${source}": ${why}`, {
    hint: 'An undo swaps back what the last restore of a source replaced; "backupd status" names what is kept.',
  });
}
