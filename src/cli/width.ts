import stringWidth from 'string-width';
import { escapeControls, isPlain, spansOf, textOf, type Line } from './text.ts';

/** Columns that a line takes on a terminal. */
export function displayWidth(line: Line): number {
  const text = spansOf(line).map(textOf).join('');
  return isPlain(text) ? text.length : stringWidth(escapeControls(text));
}

/** The beginning of a text that fits into so many columns; what was cut is told by an ellipsis. */
export function truncate(text: string, columns: number): string {
  const whole = escapeControls(text);
  if (stringWidth(whole) <= columns) {
    return whole;
  }
  let kept = '';
  let width = 0;
  for (const { segment } of new Intl.Segmenter().segment(whole)) {
    const next = width + stringWidth(segment);
    if (next > columns - 1) {
      break;
    }
    kept += segment;
    width = next;
  }
  return columns > 0 ? `${kept}…` : '';
}
