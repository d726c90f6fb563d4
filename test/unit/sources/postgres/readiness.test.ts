import { expect, test } from 'vitest';
import type { Connection } from '../../../../src/sources/postgres/connection.ts';
import { connectWhenReady } from '../../../../src/sources/postgres/readiness.ts';

const NEVER = new AbortController().signal;

/** What has to be known of a connection here: that the server is the first process, and stays. */
const CONNECTION = { tools: { firstProcess: 'postgres' } } as unknown as Connection;

test('a server that answers has given its answer, also to who waited for it', async () => {
  const refusal = new Error('password authentication failed');
  const asked: boolean[] = [];
  const connecting = connectWhenReady(
    {
      connect: () => Promise.reject(refusal),
      ask(isExpected) {
        asked.push(isExpected);
        return Promise.resolve(asked.length === 1 ? 'away' : 'answers');
      },
    },
    NEVER,
  );
  await expect(connecting).rejects.toBe(refusal);
  // Once more than it answered: the first refusal may have been of the server before it.
  expect(asked).toEqual([false, true, true]);
});

test('a server that comes between a refusal and the question is connected to', async () => {
  let tries = 0;
  const connection = await connectWhenReady(
    {
      connect() {
        tries += 1;
        return tries === 1
          ? Promise.reject(new Error('the database system is shutting down'))
          : Promise.resolve(CONNECTION);
      },
      ask: () => Promise.resolve('answers'),
    },
    NEVER,
  );
  expect(connection).toBe(CONNECTION);
  expect(tries).toBe(2);
});

test('a server of a container that is not new is not asked twice', async () => {
  let tries = 0;
  const connecting = connectWhenReady(
    {
      connect() {
        tries += 1;
        return Promise.reject(new Error('password authentication failed'));
      },
      ask: () => Promise.resolve('unexpected'),
    },
    NEVER,
  );
  await expect(connecting).rejects.toThrow('password');
  expect(tries).toBe(1);
});

test('where it cannot be told whether there is a server, the refusal is the answer', async () => {
  const refusal = new Error('the container stopped');
  const connecting = connectWhenReady(
    { connect: () => Promise.reject(refusal), ask: () => Promise.reject(new Error('no exec')) },
    NEVER,
  );
  await expect(connecting).rejects.toBe(refusal);
});
