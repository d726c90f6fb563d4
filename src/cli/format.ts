import { formatDuration } from '../core/duration.ts';

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** `0 B`, `999 B`, `12.3 MB`; powers of 1000. */
export function formatSize(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  // What would be rounded up to 1000.0 belongs to the next unit.
  while (amount >= (unit === 0 ? 1000 : 999.95) && unit < SIZES.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? amount : amount.toFixed(1)} ${SIZES[unit] ?? ''}`;
}

/** `-` where it is not known. */
export function formatOptionalSize(bytes: number | null): string {
  return bytes === null ? '-' : formatSize(bytes);
}

/** How long ago an instant was: `3h 12m`; `-` where there is none. One that is still to come is `0s`. */
export function formatAge(at: string | null, nowMs: number): string {
  return at === null ? '-' : formatDuration(nowMs - Date.parse(at));
}

/** `2026-11-22 02:00:00Z`; `-` where there is none. */
export function formatInstant(at: string | null): string {
  return at === null ? '-' : at.replace('T', ' ').replace(/\.\d+Z$/, 'Z');
}
