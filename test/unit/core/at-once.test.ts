import { expect, test } from 'vitest';
import { atOnce } from '../../../src/core/at-once.ts';

test('does all, so many at a time', async () => {
  const done: number[] = [];
  let [running, most] = [0, 0];
  await atOnce([1, 2, 3, 4, 5], 2, async (item) => {
    running += 1;
    most = Math.max(most, running);
    await Promise.resolve();
    running -= 1;
    done.push(item);
  });
  expect(new Set(done)).toEqual(new Set([1, 2, 3, 4, 5]));
  expect(most).toBe(2);
});

test('after a failure nothing more begins, and what had begun is waited for', async () => {
  const begun: number[] = [];
  let ended = false;
  const { promise: held, resolve } = Promise.withResolvers<void>();
  const all = atOnce([1, 2, 3, 4], 2, async (item) => {
    begun.push(item);
    if (item === 1) {
      throw new Error('broken');
    }
    await held;
    ended = true;
  });
  resolve();
  await expect(all).rejects.toThrow('broken');
  expect(ended).toBe(true);
  expect(begun).toEqual([1, 2]);
});
