const LOCAL = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?$/;
const WITH_OFFSET = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)$/;

/** What a written instant means: it is as long as its last digit is exact. */
export interface Instant {
  readonly from: Date;
  /** Its last millisecond. */
  readonly until: Date;
}

/**
 * An instant in extended ISO 8601: `2026-11-22T02:00Z`, `2026-11-22T02:00+01:00`, or without an offset in the given
 * time zone; a date alone is its midnight. Of a time that the clock shows twice the later one is meant; one that it skips
 * is as long after the skip.
 * @returns null where the text is no instant, or names no real date
 */
export function parseInstant(text: string, timezone: string): Instant | null {
  const trimmed = text.trim();
  if (WITH_OFFSET.test(trimmed)) {
    const date = new Date(trimmed.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'));
    return Number.isNaN(date.getTime()) ? null : asLongAsWritten(date, trimmed);
  }
  const match = LOCAL.exec(trimmed);
  if (match === null) {
    return null;
  }
  const parts = match.slice(1).map((part) => Number(part ?? 0));
  const wallMs = wallClockMs(parts);
  // A date that does not exist, or 25 o'clock, comes out as another one.
  const shown = new Date(wallMs).toISOString().match(/\d+/g)?.slice(0, 6).map(Number);
  const isReal = shown?.every((part, index) => part === parts[index]) === true;
  if (!isReal) {
    return null;
  }
  const fraction = Number(`0${/\.\d+$/.exec(trimmed)?.[0] ?? ''}`);
  const from = fromWallClock(wallMs, timezone).getTime() + Math.floor(fraction * 1000);
  return asLongAsWritten(new Date(from), trimmed);
}

/** A date alone is its midnight. */
function asLongAsWritten(from: Date, text: string): Instant {
  const [time, seconds, fraction] = /[T ]\d\d:\d\d(:\d\d(\.\d+)?)?/.exec(text) ?? [];
  const isExact = time === undefined || fraction !== undefined;
  const lastMs = isExact ? 0 : seconds === undefined ? 59_999 : 999;
  return { from, until: new Date(from.getTime() + lastMs) };
}

/** What UTC would be if the clock on the wall showed UTC. */
function wallClockMs(parts: readonly number[]): number {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function fromWallClock(wallMs: number, timezone: string): Date {
  // Offsets a day before and after are those on both sides of any change of the clock.
  const dayMs = 86_400_000;
  const candidates = [wallMs - dayMs, wallMs + dayMs].map(
    (nearMs) => wallMs - offsetMs(nearMs, timezone),
  );
  const fitting = candidates.filter((atMs) => atMs + offsetMs(atMs, timezone) === wallMs);
  return new Date(Math.max(...(fitting.length > 0 ? fitting : candidates)));
}

/** What a clock in this time zone shows at an instant, less what UTC shows. */
function offsetMs(atMs: number, timezone: string): number {
  const name = new Intl.DateTimeFormat('en-US', { timeZone: timezone, timeZoneName: 'longOffset' })
    .formatToParts(atMs)
    .find((part) => part.type === 'timeZoneName')?.value;
  const [, sign, hours, minutes, seconds] =
    /GMT([+-])(\d\d):(\d\d)(?::(\d\d))?/.exec(name ?? '') ?? [];
  const size = (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60 + Number(seconds ?? 0);
  return (sign === '-' ? -size : size) * 1000;
}
