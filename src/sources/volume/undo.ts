import { BackupdError } from '../../core/errors.ts';
import { newRestoreRun } from '../../core/restore-run.ts';
import type { Journal, Previous } from '../../core/restorer.ts';
import { reach } from '../../core/steps.ts';
import { exchange, type About } from './exchange.ts';
import { previousOf, readKept } from './kept.ts';
import type { Mounted } from './mounted.ts';
import { keptName, oldIn, placeOf } from './places.ts';
import { isUsed, runScript } from './script.ts';

/** Swaps back what a restore kept, and keeps what is in use now. */
export async function undoRestore(
  mounted: Mounted,
  previous: Previous,
  journal: Journal,
  signal: AbortSignal,
): Promise<Previous> {
  const { source, engine, databases } = previous;
  const { name = '', kept = null } = databases[0] ?? {};
  await checkUndo(mounted, previous, signal);
  const run = newRestoreRun();
  const keptAs = [keptName(name, run)];
  await journal.write({ step: 'undoing', source, engine, run, previous, keptAs });
  reach('undo-journaled');
  const at = new Date().toISOString();
  const about: About = { run, source, name, at, isFilled: kept !== null };
  const exchanged = await exchange(mounted, { about, incoming: oldIn(previous.run) }, signal);
  await runScript(mounted, 'emptied', [placeOf(previous.run)], signal);
  return previousOf(about, exchanged, mounted.target);
}

/** An undo is of what the restore left: what was dropped since cannot come back. */
async function checkUndo(
  mounted: Mounted,
  { run, source, databases }: Previous,
  signal: AbortSignal,
): Promise<void> {
  const { name = '', currentId = null } = databases[0] ?? {};
  const there = await readKept(mounted, source, signal);
  if (!there.some((previous) => previous.run === run)) {
    throw new BackupdError(
      'nothing-to-undo',
      `"${keptName(name, run)}", which the restore kept, is not there any more`,
      { hint: 'Somebody dropped it since.' },
    );
  }
  if (currentId === null && (await isUsed(mounted, signal))) {
    throw new BackupdError(
      'nothing-to-undo',
      `there is something in "${name}", which the restore did not put there`,
      { hint: 'Somebody used it since.' },
    );
  }
}
