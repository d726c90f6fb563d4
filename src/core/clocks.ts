import { formatDuration } from './duration.ts';

/** Beyond which a clock is wrong: signatures are refused soon after, and locks would be reckoned wrongly. */
export const CLOCKS_APART_MS = 300_000;

/** How far another clock is from ours, with both times. */
export function describeClocks(aheadMs: number, nowMs: number): string {
  const apart = formatDuration(Math.abs(aheadMs));
  return `the clocks are ${apart} apart: here it is ${stamp(nowMs)}, there ${stamp(nowMs + aheadMs)}`;
}

function stamp(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
