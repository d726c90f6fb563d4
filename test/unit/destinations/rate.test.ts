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

it('lets those who share it go one after the other', async () => {
  const rate = rateOf(1_000_000);
  const startedAt = performance.now();
  await Promise.all([1, 2, 3, 4].map(async () => rate.take(20_000, CALM)));
  // The first one goes at once, each next one when the bytes before it are through.
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(59);
});

it('waits no longer than its signal', async () => {
  const rate = rateOf(10_000);
  await rate.take(1_000_000, CALM);
  await expect(rate.take(1, AbortSignal.abort())).rejects.toThrow('abort');
});
