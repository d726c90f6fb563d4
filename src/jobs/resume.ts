import { BackupdError } from '../core/errors.ts';
import type { Source } from '../core/source.ts';
import { targetOf, type JournalState, type Previous } from '../core/restorer.ts';
import type { TargetRef } from '../core/target.ts';
import { journal, readJournal } from '../store/journal.ts';
import { recordRestore } from '../store/last-restore.ts';
import { recordPrevious, removePrevious } from '../store/previous.ts';
import type { JobContext } from './context.ts';

/**
 * Finishes or reverses a restore or undo of this source that was left half-done. The caller holds the source's lock.
 * Where the target is gone for good there is nothing left to finish, and the journal goes with it.
 * @returns what is kept, where the swap had happened; else null
 * @throws BackupdError `target-unavailable` while the container cannot be used; the journal stays for the next try.
 */
export async function resumeInterrupted(
  source: Source,
  context: Pick<JobContext, 'storage' | 'emit'>,
  signal: AbortSignal,
): Promise<Previous | null> {
  const { dir } = context.storage;
  const state = await readJournal(dir, source.name);
  if (state === null) {
    return null;
  }
  const target = await source.refind(targetOf(state), signal);
  const kept = target === null ? null : await resumeAt(source, withTarget(state, target), signal);
  if (kept !== null) {
    await recordPrevious(dir, kept);
    if (state.step === 'undoing') {
      await removePrevious(dir, source.name, state.previous.run);
    }
  }
  await recordResumed(dir, state, kept);
  await journal(dir, source.name).clear();
  const how = target === null ? 'its target is gone' : kept === null ? 'reversed' : 'finished';
  context.emit({ type: 'recovered', source: source.name, what: `${state.step}: ${how}` });
  return kept;
}

/** How long finding out how an undo stands that failed may take. */
const OWN_TIMEOUT_MS = 60_000;

/** As {@link resumeInterrupted}, of what this process began itself and could not end: nobody died, so there is no news to tell. */
export async function resumeOwn(
  source: Source,
  { storage }: Pick<JobContext, 'storage'>,
): Promise<Previous | null> {
  const quiet = { storage, emit: () => undefined };
  return resumeInterrupted(source, quiet, AbortSignal.timeout(OWN_TIMEOUT_MS));
}

/** Whoever began it died and could tell nobody; for `status`. */
async function recordResumed(
  dir: string,
  state: JournalState,
  kept: Previous | null,
): Promise<void> {
  const id = state.step === 'swapping' ? state.id : null;
  await recordRestore(dir, state.source, {
    at: new Date().toISOString(),
    id,
    ...(kept === null
      ? {
          outcome: 'interrupted',
          code: 'cancelled',
          message: 'its process died; what was there is untouched',
        }
      : { outcome: 'success', code: null, message: null }),
  });
}

async function resumeAt(
  source: Source,
  state: JournalState,
  signal: AbortSignal,
): Promise<Previous | null> {
  try {
    return await source.restorer.resume(state, signal);
  } catch (error) {
    if (error instanceof BackupdError) {
      throw new BackupdError(
        'target-unavailable',
        `an interrupted restore of "${source.name}" could not be finished yet: ${error.message}`,
        {
          cause: error,
          hint: hintFor(targetOf(state)),
        },
      );
    }
    throw error;
  }
}

function hintFor(target: TargetRef): string {
  return 'volume' in target
    ? 'Solve that, then run the command again.'
    : `Start container "${target.container}", then run the command again.`;
}

/** The container may have been recreated since: its data are where they were. */
function withTarget(state: JournalState, target: TargetRef): JournalState {
  switch (state.step) {
    case 'building':
      return { ...state, target };
    case 'swapping':
      return { ...state, beside: { ...state.beside, target } };
    case 'undoing':
      return { ...state, previous: { ...state.previous, target } };
  }
}
