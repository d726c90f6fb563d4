import { escapeControls } from '../../cli/text.ts';

/** HTML that may be sent as it is; only this module makes it. */
export interface Html {
  readonly text: string;
}

/** What can stand in a template; null and nothing in a list are left out. */
export type Part = Html | string | number | null | readonly Part[];

/** Something that looks like it, say in a manifest that somebody else wrote, is none. */
const MADE = new WeakSet<Html>();

/** A template whose parts are escaped, as content and within the quotes of an attribute, unless they are HTML themselves. */
export function html(pieces: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return asIs(pieces.reduce((text, piece, index) => `${text}${render(parts[index - 1])}${piece}`));
}

/** Text that is HTML already, and of which nobody else wrote a word. */
export function asIs(text: string): Html {
  const made = { text };
  MADE.add(made);
  return made;
}

function render(part: Part | undefined): string {
  if (part === null || part === undefined) {
    return '';
  }
  if (Array.isArray(part)) {
    return part.map((each: Part) => render(each)).join('');
  }
  if (typeof part === 'object') {
    return isMade(part) ? part.text : escape(JSON.stringify(part));
  }
  return escape(String(part));
}

function isMade(part: Part): part is Html {
  return MADE.has(part as Html);
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** What turns the writing direction or hides from the eye is written out, too. */
function escape(text: string): string {
  return escapeControls(text).replaceAll(/[&<>"']/g, (char) => ENTITIES[char] ?? '');
}
