import { createRequire } from 'node:module';
import { escapeControls, isPlain, spansOf, textOf, type Line } from './text.ts';

type Measure = typeof import('string-width').default;

/** What it knows of emoji takes a tenth of a command's start, and most texts have none. */
const load = createRequire(import.meta.url);

/** Columns that a line takes on a terminal. */
export function displayWidth(line: Line): number {
  if (typeof line === 'string' && isPlain(line)) {
    return line.length;
  }
  return widthOf(escapeControls(spansOf(line).map(textOf).join('')));
}

/** The beginning of a text that fits into so many columns; what was cut is told by an ellipsis. */
export function truncate(text: string, columns: number): string {
  const whole = escapeControls(text);
  if (widthOf(whole) <= columns) {
    return whole;
  }
  let kept = '';
  let width = 0;
  for (const { segment } of new Intl.Segmenter().segment(whole)) {
    const next = width + widthOf(segment);
    if (next > columns - 1) {
      break;
    }
    kept += segment;
    width = next;
  }
  return columns > 0 ? `${kept}…` : '';
}

function widthOf(text: string): number {
  if (isPlain(text)) {
    return text.length;
  }
  const { default: measure } = load('string-width') as { readonly default: Measure };
  return measure(text);
}
