import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { alarm } from '../../../src/daemon/alarm.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Whether a sleep of a minute is over. */
function sleeper(
  of: ReturnType<typeof alarm>,
  signal = new AbortController().signal,
): { isOver: boolean } {
  const state = { isOver: false };
  async function sleep(): Promise<void> {
    await of.sleep(60_000, signal);
    state.isOver = true;
  }
  void sleep();
  return state;
}

test('a sleep is over when its time is', async () => {
  const state = sleeper(alarm());
  await vi.advanceTimersByTimeAsync(59_999);
  expect(state.isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(state.isOver).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test('a ring ends it, and the next one only where it came in between', async () => {
  const own = alarm();
  const first = sleeper(own);
  own.ring();
  await vi.advanceTimersByTimeAsync(0);
  expect(first.isOver).toBe(true);
  const second = sleeper(own);
  await vi.advanceTimersByTimeAsync(0);
  expect(second.isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(60_000);
  own.ring();
  const third = sleeper(own);
  await vi.advanceTimersByTimeAsync(0);
  expect(third.isOver).toBe(true);
});

test('an abort ends it, before it or in it', async () => {
  const stopping = new AbortController();
  const state = sleeper(alarm(), stopping.signal);
  stopping.abort();
  await vi.advanceTimersByTimeAsync(0);
  expect(state.isOver).toBe(true);
  const late = sleeper(alarm(), stopping.signal);
  await vi.advanceTimersByTimeAsync(0);
  expect(late.isOver).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});
