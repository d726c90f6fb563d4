import { expect, it, vi } from 'vitest';
import { paced, rateOf } from '../../../src/destinations/rate.ts';

const CALM = new AbortController().signal;

it.each([
  [10_000, 4096],
  [1_000_000, 50_000],
  [1_000_000_000, 262_144],
])('asks at %d bytes per second for %d at a time', (bytesPerSecond, sliceBytes) => {
  expect(rateOf(bytesPerSecond).sliceBytes).toBe(sliceBytes);
});

it('gives a body in slices that are the body', async () => {
  const body = Buffer.from(Array.from({ length: 10_000 }, (_, index) => index % 256));
  const rate = { sliceBytes: 4096, take: vi.fn<() => Promise<void>>().mockResolvedValue() };
  const slices = await Array.fromAsync(paced(body, rate, CALM));
  expect(slices.map(({ length }) => length)).toEqual([4096, 4096, 1808]);
  expect(Buffer.concat(slices).equals(body)).toBe(true);
  expect(rate.take.mock.calls.map(([bytes]: readonly unknown[]) => bytes)).toEqual([
    4096, 4096, 1808,
  ]);
});

it('lets those who share it go one after the other, and makes up for no pause', async () => {
  const waits: number[] = [];
  let now = 5000;
  const rate = rateOf(1_000_000, {
    now: () => now,
    wait(ms) {
      waits.push(ms);
      return Promise.resolve();
    },
  });
  for (const bytes of [20_000, 10_000, 1000]) {
    await rate.take(bytes, CALM);
  }
  expect(waits).toEqual([20, 30]);
  now += 10_000;
  await rate.take(5000, CALM);
  await rate.take(1, CALM);
  expect(waits).toEqual([20, 30, 5]);
});

it('waits no longer than its signal', async () => {
  const rate = rateOf(10_000);
  await rate.take(1_000_000, CALM);
  await expect(rate.take(1, AbortSignal.abort())).rejects.toThrow('abort');
});
