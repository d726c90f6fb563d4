import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  judgeWatch,
  LOOK_MS,
  STALE_MS,
  watchOn,
  type Watch,
} from '../../../src/store/lock-watch.ts';

function watchAll(looks: readonly (readonly [mark: string, atMs: number])[]): Watch {
  const [first, ...others] = looks;
  let watch = watchOn(null, first?.[0] ?? '', first?.[1] ?? 0);
  for (const [mark, atMs] of others) {
    watch = watchOn(watch, mark, atMs);
  }
  return watch;
}

test('a holder that was seen once is neither alive nor dead', () => {
  expect(judgeWatch(watchAll([['a', 1_000_000]]))).toBe('unknown');
});

test('a holder that changes is alive, until it is silent for long enough', () => {
  const looks: [string, number][] = [
    ['a', 0],
    ['b', LOOK_MS],
  ];
  expect(judgeWatch(watchAll(looks))).toBe('alive');
  for (let atMs = 2 * LOOK_MS; atMs < LOOK_MS + STALE_MS; atMs += LOOK_MS) {
    looks.push(['b', atMs]);
  }
  expect(judgeWatch(watchAll(looks))).toBe('alive');
  looks.push(['b', LOOK_MS + STALE_MS]);
  expect(judgeWatch(watchAll(looks))).toBe('dead');
});

test('nobody is judged by one long pause: both may have been stopped', () => {
  const pauses = [0, 1_000_000, 2_000_000, 3_000_000].map((atMs) => ['a', atMs] as const);
  expect(judgeWatch(watchAll(pauses))).toBe('unknown');
});

test('a holder that beats within the time is never judged dead, however the looks fall', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1 }), (pauses) => {
      let atMs = 0;
      let watch = watchOn(null, '0', 0);
      for (const pauseMs of pauses) {
        atMs += pauseMs;
        watch = watchOn(watch, String(Math.floor(atMs / 2000)), atMs);
        expect(judgeWatch(watch)).not.toBe('dead');
      }
    }),
  );
});
