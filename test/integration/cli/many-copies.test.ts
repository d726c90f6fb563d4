import { expect, test } from 'vitest';
import { countRequests, pagesOf, putCopies } from '../../support/many-copies.ts';
import { openStore } from '../../support/off-site-stage.ts';
import { waitFor } from '../../support/wait-for.ts';

/** The bench does the same with ten thousand. */
const COPIES = 1200;
const WIDTH = 32;

test('many copies: a list for each thousand objects, each manifest fetched once ever, 32 at a time', async () => {
  await using store = await openStore();
  await using stage = await store.stage();
  await putCopies(stage, COPIES);
  // A store that answers at once never has all of them: the first wait for each other.
  stage.proxy.disturb({ operation: 'GetObject' }, 'hold', WIDTH);
  const listing = countRequests(stage, ['list', '--from', 's3']);
  await waitFor(`${WIDTH} manifests asked for`, () => {
    return stage.proxy.seen.filter(({ operation }) => operation === 'GetObject').length >= WIDTH;
  });
  stage.proxy.calm();
  const listed = await listing;
  expect(listed.printed).toHaveLength(COPIES);
  expect(listed.pages).toBe(pagesOf(COPIES));
  expect(listed.fetched).toHaveLength(COPIES);
  expect(new Set(listed.fetched).size).toBe(COPIES);
  expect(listed.atOnce).toBe(WIDTH);

  const decided = await countRequests(stage, ['prune', '--dry-run']);
  expect(decided.printed).toHaveLength(COPIES);
  expect(decided.pages).toBe(pagesOf(COPIES));
  expect(decided.fetched).toEqual([]);
});
