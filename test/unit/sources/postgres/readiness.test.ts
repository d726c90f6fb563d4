import { expect, test } from 'vitest';
import { connectWhenReady } from '../../../../src/sources/postgres/readiness.ts';

const NEVER = new AbortController().signal;

test('a server that answers has given its answer, also to who waited for it', async () => {
  const refusal = new Error('password authentication failed');
  const asked: boolean[] = [];
  const connecting = connectWhenReady(
    {
      connect: () => Promise.reject(refusal),
      isAway(isExpected) {
        asked.push(isExpected);
        return Promise.resolve(asked.length === 1);
      },
    },
    NEVER,
  );
  await expect(connecting).rejects.toBe(refusal);
  expect(asked).toEqual([false, true]);
});

test('where it cannot be told whether there is a server, the refusal is the answer', async () => {
  const refusal = new Error('the container stopped');
  const connecting = connectWhenReady(
    { connect: () => Promise.reject(refusal), isAway: () => Promise.reject(new Error('no exec')) },
    NEVER,
  );
  await expect(connecting).rejects.toBe(refusal);
});
