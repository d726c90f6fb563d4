import { toFailure, type Failure } from '../core/errors.ts';
import type { Source } from '../core/source.ts';
import { targetOf } from '../core/restorer.ts';
import { targetName } from '../core/target.ts';
import { readAttempts, recordAttempt } from '../store/attempts.ts';
import { readJournal } from '../store/journal.ts';
import { acquireLock, type LockHolder, type LockWatches } from '../store/lock.ts';
import { sourcesWith } from '../store/state-file.ts';
import type { App, BoundSource, JobContext } from './context.ts';
import { settleOwed } from './owed.ts';
import { resumeInterrupted } from './resume.ts';

/** A dead process's lock in another container is recognised within this time. */
const LOCK_WAIT_MS = 12_000;

/**
 * Clears up after a process that died: finishes or reverses an interrupted restore, ends tools and sessions left in the
 * target, removes drafts, records the run that did not end. A source that somebody else works on is left to them.
 * Never throws: what could not be done now is done before the source's next run.
 * @param watches what was already seen of the sources' locks
 * @returns why it could not be done now; null where it was, or somebody else works on the source
 */
export async function recoverSource(
  { source }: BoundSource,
  context: JobContext,
  watches: LockWatches,
  signal: AbortSignal,
): Promise<string | null> {
  const { storage, catalog } = context;
  try {
    await using lock = await acquireLock(
      storage.dir,
      source.name,
      { command: `${context.command}: clearing up`, waitMs: LOCK_WAIT_MS, watches },
      signal,
    );
    const running = AbortSignal.any([signal, lock.lost]);
    await recordInterrupted(source.name, lock.dead, context);
    await catalog.sweep(source.name);
    await resumeInterrupted(source, context, running);
    await settleOwed(source.name, context, running);
    await sweepTarget(source, running);
    return null;
  } catch (error) {
    const { code, message } = toFailure(error);
    return code === 'locked' ? null : message;
  }
}

/**
 * The same for a source that is not configured here, such as one that was restored on a new host: only what its journal
 * says it did is finished, and what it owes settled.
 */
export async function recoverUnbound(
  source: string,
  app: App,
  watches: LockWatches,
  signal: AbortSignal,
): Promise<string | null> {
  const { context } = app;
  try {
    await using lock = await acquireLock(
      context.storage.dir,
      source,
      { command: `${context.command}: clearing up`, waitMs: LOCK_WAIT_MS, watches },
      signal,
    );
    await recordInterrupted(source, lock.dead, context);
    await resumeByJournal(source, app, AbortSignal.any([signal, lock.lost]));
    return null;
  } catch (error) {
    const { code, message } = toFailure(error);
    return code === 'locked' ? null : message;
  }
}

/**
 * Finishes or reverses what a journal says, in the target that it names, and settles what is owed. The caller holds the
 * source's lock.
 */
export async function resumeByJournal(name: string, app: App, signal: AbortSignal): Promise<void> {
  const state = await readJournal(app.context.storage.dir, name);
  if (state !== null) {
    const target = targetOf(state);
    const { source } = await app.bind(
      { source: name, engine: state.engine, target },
      targetName(target),
      signal,
    );
    await resumeInterrupted(source, app.context, signal);
  }
  await settleOwed(name, app.context, signal);
}

/**
 * Sources whose restore or backup is not at its end: its process died, its target was away when it failed, or it still runs.
 */
export async function unfinished(dir: string): Promise<readonly string[]> {
  return [
    ...new Set([...(await sourcesWith(dir, 'journals')), ...(await sourcesWith(dir, 'owed'))]),
  ];
}

async function sweepTarget(source: Source, signal: AbortSignal): Promise<void> {
  await source.sweep(await source.locate(signal), signal);
}

/** A run whose process died before it could say how it ended: what it left tells. */
export async function recordInterrupted(
  source: string,
  dead: LockHolder | null,
  { storage, catalog }: Pick<JobContext, 'storage' | 'catalog'>,
): Promise<void> {
  if (dead === null || dead.run === null) {
    return;
  }
  const { id, startedAt, trigger } = dead.run;
  const { attempts } = await readAttempts(storage.dir, source);
  if (attempts.some(({ at }) => at === startedAt)) {
    // It died after it had said how it ended.
    return;
  }
  const made = (await catalog.entries(source)).find(({ manifest }) => manifest.id === id);
  const common = { at: startedAt, finishedAt: new Date().toISOString(), trigger };
  await recordAttempt(
    storage.dir,
    source,
    made === undefined
      ? { ...common, outcome: 'interrupted', id: null, failure: diedEarly(dead) }
      : { ...common, outcome: 'success', id: made.manifest.id, failure: null },
  );
}

function diedEarly({ command }: LockHolder): Failure {
  return {
    code: 'cancelled',
    message: `the process that ran it ("${command}") died before it was done`,
    hint: null,
  };
}
