import { CannotDrill } from '../core/drill.ts';
import { BackupdError } from '../core/errors.ts';
import type { ScratchState } from '../docker/scratch.ts';

/** Exit codes of a server that somebody ended, such as the engine when it stops; by itself it ends with another one. */
const ENDED_BY_OTHERS = [0, 128 + 9, 128 + 15];

/**
 * Why a scratch container is of no use any more, as `Scratch.explain` says it. One that ran out of memory may run on: it
 * is a process of the server that the kernel ends, not the first one.
 */
export function explainState(
  { runs, exitCode, outOfMemory, said }: ScratchState,
  memoryBytes: number,
): BackupdError | null {
  if (outOfMemory) {
    const limit = `${Math.floor(memoryBytes / 1_000_000)} MB`;
    return new CannotDrill(
      'no-space',
      `the scratch container needs more than its ${limit} of memory`,
      {
        hint: 'Give its source a higher memory limit, which is that of the scratch container, too.',
      },
    );
  }
  if (runs) {
    return null;
  }
  return ENDED_BY_OTHERS.includes(exitCode)
    ? new CannotDrill('target-unavailable', 'the scratch container was stopped while it was used', {
        hint: 'Was the Docker engine restarted? Drill again: "docker events" says who stops a container.',
      })
    : new BackupdError(
        'restore-failed',
        `the scratch container ended with ${exitCode} while it was used: ${said}`,
        {
          hint: 'Restore it by hand elsewhere (--into), and see whether the server ends there as well.',
        },
      );
}
