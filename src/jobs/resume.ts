import type { Source } from '../core/source.ts';
import { journal, readJournal } from '../store/journal.ts';
import { recordPrevious } from '../store/previous.ts';
import type { JobContext } from './context.ts';

/**
 * Finishes or reverses a restore or undo of this source that a dead process left half-done. The caller holds the lock.
 * Where the target is away it throws, and the journal stays for the next start.
 */
export async function resumeInterrupted(
  source: Source,
  context: Pick<JobContext, 'storage' | 'emit'>,
  signal: AbortSignal,
): Promise<void> {
  const { dir } = context.storage;
  const state = await readJournal(dir, source.name);
  if (state === null) {
    return;
  }
  const kept = await source.restorer.resume(state, signal);
  if (kept !== null) {
    await recordPrevious(dir, kept);
  }
  await journal(dir, source.name).clear();
  context.emit({
    type: 'recovered',
    source: source.name,
    what: kept === null ? `${state.step}: reversed` : `${state.step}: finished`,
  });
}
