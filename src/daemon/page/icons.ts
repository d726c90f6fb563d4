import { asIs, html, type Html } from './html.ts';

/** How something stands, in the one way that colours and signs go by. */
export type Tone = 'good' | 'bad' | 'warn' | 'busy' | 'idle';

const SHAPES: Readonly<Record<Tone, string>> = {
  good: '<path d="M4.5 8.5l2.5 2.5 4.5-5.5"/>',
  bad: '<path d="M5.5 5.5l5 5m0-5l-5 5"/>',
  warn: '<path d="M8 4.5v4.2m0 2.6v.2"/>',
  busy: '<path d="M8 4.7V8l2.4 1.6"/>',
  idle: '<path d="M5 8h6"/>',
};

/** A sign in a circle; says nothing to who does not see it: a word stands beside it. */
export function icon(tone: Tone): Html {
  const shape = asIs(`<circle cx="8" cy="8" r="7"/>${SHAPES[tone]}`);
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">${shape}</svg>`;
}

/** A word with its sign. */
export function badge(tone: Tone, word: string): Html {
  return html`<span class="badge ${tone}">${icon(tone)}${word}</span>`;
}

/** The sign in the tab of the browser, as an address that holds it. */
export function favicon(tone: Tone): string {
  const colour = tone === 'good' ? '#1a7f4b' : '#b3242b';
  const stroke = 'fill="none" stroke="#fff" stroke-width="1.8" stroke-linecap="round"';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="${colour}"/><g ${stroke}>${SHAPES[tone]}</g></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
