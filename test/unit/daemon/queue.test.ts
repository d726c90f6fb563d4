import { describe, expect, test } from 'vitest';
import { runQueue } from '../../../src/daemon/queue.ts';

/** Work that ends when the test says so. */
function job(): { readonly work: () => Promise<void>; readonly end: () => void; begun: boolean } {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const made = {
    begun: false,
    end: () => {
      resolve(undefined);
    },
    work: async () => {
      made.begun = true;
      await promise;
    },
  };
  return made;
}

/** Lets everything that is ready go on. */
async function settle(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}

describe('the queue', () => {
  test('runs as many at once as it may, the others in their order', async () => {
    const queue = runQueue({ concurrency: 2, capacity: 10 });
    const [one, two, three, four] = [job(), job(), job(), job()];
    expect([
      queue.offer('a', one.work),
      queue.offer('b', two.work),
      queue.offer('c', three.work),
      queue.offer('d', four.work),
    ]).toEqual(['accepted', 'accepted', 'accepted', 'accepted']);
    await settle();
    expect([one, two, three, four].map(({ begun }) => begun)).toEqual([true, true, false, false]);
    two.end();
    await settle();
    expect([three, four].map(({ begun }) => begun)).toEqual([true, false]);
    one.end();
    await settle();
    expect(four.begun).toBe(true);
  });

  test('never takes a second run of a source that waits or runs, and takes one afterwards', async () => {
    const queue = runQueue({ concurrency: 1, capacity: 10 });
    const [running, waiting] = [job(), job()];
    queue.offer('a', running.work);
    queue.offer('b', waiting.work);
    expect(queue.offer('a', job().work)).toBe('busy');
    expect(queue.offer('b', job().work)).toBe('busy');
    running.end();
    waiting.end();
    await queue.idle();
    expect(queue.offer('a', job().work)).toBe('accepted');
  });

  test('is bounded', () => {
    const queue = runQueue({ concurrency: 1, capacity: 1 });
    expect(['a', 'b', 'c'].map((source) => queue.offer(source, job().work))).toEqual([
      'accepted',
      'accepted',
      'full',
    ]);
  });

  test('once closed drops what waits, takes nothing, and is idle when the running ones ended', async () => {
    const queue = runQueue({ concurrency: 1, capacity: 10 });
    const [running, waiting] = [job(), job()];
    queue.offer('a', running.work);
    queue.offer('b', waiting.work);
    let idle = false;
    queue.close();
    const closing = (async () => {
      await queue.idle();
      idle = true;
    })();
    expect(queue.offer('c', job().work)).toBe('closed');
    await settle();
    expect(idle).toBe(false);
    running.end();
    await closing;
    await settle();
    expect(waiting.begun).toBe(false);
  });

  test('is idle from the start', async () => {
    await expect(runQueue({ concurrency: 1, capacity: 1 }).idle()).resolves.toBeUndefined();
  });
});
