import { formatDuration } from '../../core/duration.ts';
import { html, type Html } from './html.ts';

/** How instants are told: from now, and by the clock of a time zone. */
export interface Moments {
  /** `3h 12m ago`, with its date. */
  ago(at: string): Html;
  /** `in 9h 3m`, with its date; `now` for what is past. */
  ahead(at: string): Html;
  /** `28 Nov, 02:00`; with the year where it is another one. */
  date(at: string): Html;
}

export function moments(nowMs: number, timezone: string): Moments {
  const clock = new Intl.DateTimeFormat('en-GB', {
    timeZone: timezone,
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
  });
  const year = new Intl.DateTimeFormat('en-GB', { timeZone: timezone, year: 'numeric' });

  function date(at: string): Html {
    const atMs = Date.parse(at);
    const own = year.format(atMs);
    const other = own === year.format(nowMs) ? null : ` ${own}`;
    return html`<time datetime="${at}">${clock.format(atMs)}${other}</time>`;
  }

  return {
    ago(at) {
      const ageMs = nowMs - Date.parse(at);
      const age = ageMs < 1000 ? 'just now' : `${roughly(ageMs)} ago`;
      return html`<span class="rel">${age}</span> <span class="abs">${date(at)}</span>`;
    },
    ahead(at) {
      const waitMs = Date.parse(at) - nowMs;
      const wait = waitMs < 1000 ? 'now' : `in ${roughly(waitMs)}`;
      return html`<span class="rel">${wait}</span> <span class="abs">${date(at)}</span>`;
    },
    date,
  };
}

/** Seconds are of no interest beside hours, nor beside many minutes. */
function roughly(ms: number): string {
  const minuteMs = 60_000;
  return formatDuration(ms < 10 * minuteMs ? ms : Math.floor(ms / minuteMs) * minuteMs);
}
