const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** `90s`, `1h30m`, `26h`, `30d` in milliseconds; null where the text is no duration. A bare `0` is one. */
export function parseDurationMs(text: string): number | null {
  const trimmed = text.trim();
  if (trimmed === '0') {
    return 0;
  }
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/.test(trimmed)) {
    return null;
  }
  let sum = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)) {
    sum += Number(amount) * UNITS[unit as keyof typeof UNITS];
  }
  return Math.round(sum);
}

const SPOKEN = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

/** The two largest units of a duration: `3d 4h`, `12m 5s`, `0s`. */
export function formatDuration(ms: number): string {
  const parts: string[] = [];
  let rest = Math.max(0, Math.round(ms / 1000));
  for (const [unit, seconds] of SPOKEN) {
    const count = Math.floor(rest / seconds);
    if (count > 0 || (unit === 's' && parts.length === 0)) {
      parts.push(`${count}${unit}`);
    }
    rest -= count * seconds;
  }
  return parts.slice(0, 2).join(' ');
}
