import type { HistoryEntry } from '../../core/page-report.ts';
import { formatSize } from '../../cli/format.ts';
import { html, type Html } from './html.ts';

const BARS = 30;
const STEP = 5;
const BAR = 3.6;
const HEIGHT = 32;
/** So that the smallest is seen, too. */
const LEAST = 1.5;

/** The sizes of the last backups as bars from zero, so that a half is half as high; null where there are too few to compare. */
export function sparkline(history: readonly HistoryEntry[]): Html | null {
  const [first] = history;
  const last = history.at(-1);
  if (first === undefined || last === undefined || history.length < 2) {
    return null;
  }
  const sizes = history.map(({ sizeBytes }) => sizeBytes);
  const most = Math.max(1, ...sizes);
  const offset = BARS - history.length;
  const bars = history.map(({ sizeBytes, good }, index) => {
    const height = Math.max(LEAST, (sizeBytes / most) * HEIGHT);
    const kind = good ? (index === history.length - 1 ? 'last' : 'bar') : 'flawed';
    return html`<rect
      class="${kind}"
      x="${round((offset + index) * STEP)}"
      y="${round(HEIGHT - height)}"
      width="${BAR}"
      height="${round(height)}"
      rx="1"
    />`;
  });
  const flawed = history.filter(({ good }) => !good).length;
  const label = [
    `Sizes of the last ${history.length} backups:`,
    `${formatSize(first.sizeBytes)} at first, ${formatSize(last.sizeBytes)} now,`,
    `smallest ${formatSize(Math.min(...sizes))}, largest ${formatSize(most)}`,
    ...(flawed === 0 ? [] : [`; ${flawed} suspicious or damaged`]),
  ].join(' ');
  return html`<svg
    class="spark"
    viewBox="0 0 ${BARS * STEP} ${HEIGHT}"
    role="img"
    aria-label="${label}"
    preserveAspectRatio="none"
  >
    ${bars}
  </svg>`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
