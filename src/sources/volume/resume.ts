import { BackupdError } from '../../core/errors.ts';
import type { JournalState, Previous } from '../../core/restorer.ts';
import { settleExchange } from './exchange.ts';
import { readKept } from './kept.ts';
import type { Mounted } from './mounted.ts';
import { newIn, oldIn, placeOf } from './places.ts';
import { runScript } from './script.ts';

/** Finishes or reverses what a dead process left: what is where in the volume says how far it came. */
export async function resumeRestore(
  mounted: Mounted,
  state: JournalState,
  signal: AbortSignal,
): Promise<Previous | null> {
  if (state.step === 'building') {
    await runScript(mounted, 'discard', [placeOf(state.run)], signal);
    return null;
  }
  const { source } = state;
  const isUndo = state.step === 'undoing';
  const run = isUndo ? state.run : state.beside.run;
  const incoming = isUndo ? oldIn(state.previous.run) : newIn(run);
  if (!(await settleExchange(mounted, { run, incoming }, signal))) {
    await runScript(mounted, 'discard', [placeOf(run)], signal);
    return null;
  }
  if (isUndo) {
    await runScript(mounted, 'emptied', [placeOf(state.previous.run)], signal);
  }
  const kept = (await readKept(mounted, source, signal)).find((previous) => previous.run === run);
  if (kept === undefined) {
    throw new BackupdError('restore-failed', `what the restore ${run} kept is gone`);
  }
  return kept;
}
