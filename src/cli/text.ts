import { styleText } from 'node:util';
import stringWidth from 'string-width';

export type Format = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

/** A piece of a line. Its text may hold anything: what could steer a terminal is written out when it is rendered. */
export type Span = string | { readonly text: string; readonly format: Format };
export type Line = Span | readonly Span[];

/** What decides about colour: a terminal, and the conventions of NO_COLOR and FORCE_COLOR. */
export type ColourStream = NodeJS.WritableStream;

/** One line without its end. Colour is the only control sequence that can be in it. */
export function renderLine(line: Line, stream: ColourStream): string {
  return spansOf(line)
    .map((span) => {
      const text = escapeControls(textOf(span));
      return typeof span === 'string' ? text : styleText(span.format, text, { stream });
    })
    .join('');
}

/** Columns that a line takes on a terminal. */
export function displayWidth(line: Line): number {
  return stringWidth(
    spansOf(line)
      .map((span) => escapeControls(textOf(span)))
      .join(''),
  );
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

export function spansOf(line: Line): readonly Span[] {
  return Array.isArray(line) ? (line as readonly Span[]) : [line as Span];
}

function textOf(span: Span): string {
  return typeof span === 'string' ? span : span.text;
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * A text without what could steer a terminal or hide from the eye: control and format characters (C0, C1, the ones that
 * turn the writing direction), line separators and lone surrogates are written out, `\x1b`, `\u{202e}`.
 */
export function escapeControls(text: string): string {
  return text.replaceAll(
    // Joiners (U+200C, U+200D) stay: scripts and emoji are written with them.
    /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]|(?![\u200C\u200D])\p{Cf}/gu,
    (char) => {
      const code = char.codePointAt(0) ?? 0;
      const hex = code.toString(16);
      return ESCAPES[char] ?? (code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`);
    },
  );
}
