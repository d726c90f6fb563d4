import { setTimeout as pause } from 'node:timers/promises';

/**
 * The first answer that is neither null, undefined nor false; asked again every 100 ms.
 * @throws Error that names what was waited for, with the last error of `ask` as its cause, when `withinMs` have passed.
 */
export async function waitFor<T>(
  what: string,
  ask: () => Promise<T> | T,
  withinMs = 30_000,
): Promise<Exclude<T, null | undefined | false>> {
  const deadlineAt = Date.now() + withinMs;
  let cause: unknown;
  do {
    try {
      const answer = await ask();
      if (answer !== null && answer !== undefined && answer !== false) {
        return answer as Exclude<T, null | undefined | false>;
      }
    } catch (error) {
      cause = error;
    }
    await pause(100);
  } while (Date.now() < deadlineAt);
  throw new Error(`no ${what} within ${withinMs} ms`, { cause });
}
