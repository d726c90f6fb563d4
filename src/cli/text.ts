import { styleText } from 'node:util';

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

export function spansOf(line: Line): readonly Span[] {
  return Array.isArray(line) ? (line as readonly Span[]) : [line as Span];
}

/** What is written of a span, yet without its format. */
export function textOf(span: Span): string {
  return typeof span === 'string' ? span : span.text;
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * A text without what could steer a terminal or hide from the eye: control and format characters (C0, C1, the ones that
 * turn the writing direction), line separators and lone surrogates are written out, `\x1b`, `\u{202e}`.
 */
export function escapeControls(text: string): string {
  return isPlain(text) ? text : escapeEach(text);
}

/** Whether a text has nothing but letters, digits and the like of ASCII: most have, and can be seen to at once. */
export function isPlain(text: string): boolean {
  return /^[ -~]*$/.test(text);
}

function escapeEach(text: string): string {
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
