import { BackupdError } from '../core/errors.ts';
import type { CommandTarget, HaltedContainer, HaltWish } from '../core/halts.ts';
import type { HaltReport } from '../core/manifest.ts';
import { acquireHaltLock } from '../store/lock.ts';
import type { Debt } from '../store/owed.ts';
import type { JobContext } from './context.ts';
import { releaseAll } from './owed.ts';

export interface Halting {
  readonly wish: HaltWish;
  /** What the work is about, and so must go on running; null where that is no container. */
  readonly target: CommandTarget | null;
  readonly debt: Debt;
}

export interface DoneWhileHalted<Result> {
  readonly result: Result;
  readonly halts: readonly HaltReport[];
  /** Why a container does not run again: the work is done all the same. */
  readonly failure: BackupdError | null;
}

/**
 * Does the work while containers are held still. However it ends those that ran before run again: here, or at the next
 * start of anything where this process dies. Two who want containers still do their work one after the other, since to
 * the second the first one's would look like stopped for good.
 */
export async function whileHalted<Result>(
  { wish, target, debt }: Halting,
  context: JobContext,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<DoneWhileHalted<Result>> {
  if (wish.stop.length + wish.pause.length === 0) {
    return { result: await work(), halts: [], failure: null };
  }
  const { storage, neighbours, emit, command } = context;
  const { source } = debt;
  await using _lock = await acquireHaltLock(storage.dir, { command }, signal);
  const halted = await neighbours.findRunning(wish, signal);
  refuseTarget(halted, target);
  const beganMs = new Map<HaltedContainer, number>();
  const halts: HaltReport[] = [];

  async function haltAll(): Promise<void> {
    await debt.change({ halted });
    for (const container of halted) {
      beganMs.set(container, performance.now());
      if (await neighbours.halt(container, signal)) {
        emit({ type: 'halted', source, container: container.container, how: container.how });
      } else {
        await debt.change({ halted: debt.now().halted.filter((other) => other !== container) });
      }
    }
  }

  async function letGo(): Promise<BackupdError | null> {
    return releaseAll(debt, context, (released) => {
      const { container, how } = released;
      const durationMs = Math.round(performance.now() - (beganMs.get(released) ?? 0));
      // What was never asked to stop was not away.
      if (beganMs.has(released)) {
        halts.push({ container, how, durationMs });
        emit({ type: 'released', source, container, how, durationMs });
      }
    });
  }

  let result: Result;
  try {
    await haltAll();
    result = await work();
  } catch (error) {
    const failure = await letGo();
    if (failure !== null) {
      emit({ type: 'recovery-postponed', source, reason: failure.message });
    }
    throw error;
  }
  const failure = await letGo();
  return { result, halts, failure };
}

function refuseTarget(halted: readonly HaltedContainer[], target: CommandTarget | null): void {
  const own = halted.find(({ containerId }) => containerId === target?.containerId);
  if (own !== undefined) {
    throw new BackupdError(
      'config-invalid',
      `container "${own.container}" is what the work is done in, so it cannot be ${own.how === 'stop' ? 'stopped' : 'paused'} for it`,
      { hint: 'Name the containers that use it.' },
    );
  }
}

/** The restore is done; that something does not run because of it must not be taken for a success. */
export function throwAfterRestore(failure: BackupdError | null): void {
  if (failure !== null) {
    const { code, message, hint } = failure;
    throw new BackupdError(code, `the restore is done, but ${message}`, {
      cause: failure,
      ...(hint === null ? {} : { hint }),
    });
  }
}
