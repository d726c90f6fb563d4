import { reach } from '../../core/steps.ts';
import type { Mounted } from './mounted.ts';
import { placeOf } from './places.ts';
import { runScript } from './script.ts';

/** What is written down beside what is kept, so that the volume itself tells of it. */
export interface About {
  readonly run: string;
  readonly source: string;
  /** The name in use. */
  readonly name: string;
  readonly at: string;
  /** False where what came in was nothing: an undo of a restore that had put something into an empty volume. */
  readonly isFilled: boolean;
}

/** One exchange: what is there goes out, what comes in takes its place. */
export interface Exchange {
  readonly about: About;
  /** The directory with `files` and `root`. */
  readonly incoming: string;
}

/** What came of it. */
export interface Exchanged {
  /** Whether anything was there. */
  readonly hasReplaced: boolean;
}

/**
 * Moves everything at the top of the volume out, and what was loaded or kept in. Whoever dies in it leaves a state by which
 * the next one knows whether to go back or on.
 */
export async function exchange(
  mounted: Mounted,
  { about, incoming }: Exchange,
  signal: AbortSignal,
): Promise<Exchanged> {
  const place = placeOf(about.run);
  const said = await runScript(mounted, 'leave', [place, JSON.stringify(about)], signal);
  reach('swap-prepared');
  await runScript(mounted, 'turn', [place, incoming], signal);
  reach('swap-moved');
  await runScript(mounted, 'enter', [place], signal);
  reach('swap-finished');
  return { hasReplaced: said === 'replaced' };
}

/** Finishes or takes back an exchange that was begun. @returns whether what came in is there now */
export async function settleExchange(
  mounted: Mounted,
  { run, incoming }: { readonly run: string; readonly incoming: string },
  signal: AbortSignal,
): Promise<boolean> {
  const place = placeOf(run);
  switch (await runScript(mounted, 'state', [place, incoming], signal)) {
    case 'turned':
      await runScript(mounted, 'enter', [place], signal);
      return true;
    case 'entered':
      return true;
    case 'leaving':
      await runScript(mounted, 'back', [place], signal);
      return false;
    default:
      return false;
  }
}
