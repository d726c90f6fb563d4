import { BackupdError } from '../core/errors.ts';
import type { HaltedContainer } from '../core/halts.ts';
import { debtOf, readOwed, type Debt } from '../store/owed.ts';
import type { JobContext } from './context.ts';
import { runHook } from './hooks.ts';

/**
 * Lets every container go, the last one first; what fails is tried no more here, and stays owed.
 * @returns the first failure; null where all of them run again
 */
export async function releaseAll(
  debt: Debt,
  context: Pick<JobContext, 'neighbours'>,
  onReleased: (container: HaltedContainer) => void,
): Promise<BackupdError | null> {
  // Nothing that ends a run ends this.
  const { signal } = new AbortController();
  let failure: BackupdError | null = null;
  for (const container of debt.now().halted.toReversed()) {
    try {
      await context.neighbours.release(container, signal);
      onReleased(container);
      const { containerId } = container;
      await debt.change({
        halted: debt.now().halted.filter((other) => other.containerId !== containerId),
      });
    } catch (error) {
      failure ??= notReleased(container, error);
    }
  }
  return failure;
}

function notReleased({ container, how }: HaltedContainer, cause: unknown): BackupdError {
  const [done, again] = how === 'stop' ? ['stopped', 'start'] : ['paused', 'unpause'];
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BackupdError(
    'target-unavailable',
    `container "${container}" was ${done} by backupd and could not be let go again: ${why}`,
    {
      cause,
      hint: `Run "docker ${again} ${container}"; the next start of backupd tries it as well.`,
    },
  );
}

/**
 * Settles what a run owes whose process died: containers run again, the command after it is run, once. The caller holds
 * the source's lock.
 * @throws BackupdError `target-unavailable` where a container cannot be let go: it stays owed
 */
export async function settleOwed(
  source: string,
  context: Pick<JobContext, 'storage' | 'emit' | 'neighbours'>,
  signal: AbortSignal,
): Promise<void> {
  const { dir, identity } = context.storage;
  const owed = await readOwed(dir, source);
  if (owed === null) {
    return;
  }
  const debt = debtOf(dir, owed);
  const failure = await releaseAll(debt, context, ({ container, how }) => {
    const done = how === 'stop' ? 'started again' : 'going on again';
    context.emit({ type: 'recovered', source, what: `container "${container}" is ${done}` });
  });
  if (failure !== null) {
    throw failure;
  }
  if (owed.after !== null) {
    const { command, ...at } = owed.after;
    const run = `${identity}/${source}/after`;
    await runHook({ source, when: 'after', command, at, run }, context, signal);
    await debt.change({ after: null });
  }
}
