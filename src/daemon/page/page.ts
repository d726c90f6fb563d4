import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { PageReport, PageSource } from '../../core/page-report.ts';
import { asIs, html, type Html } from './html.ts';
import { favicon } from './icons.ts';
import { moments } from './moment.ts';
import {
  destinationTable,
  failureList,
  firstSteps,
  pageFooter,
  problemList,
  runningList,
  verdict,
} from './sections.ts';
import { sourceCard } from './source-card.ts';

const STYLE = readFileSync(new URL('page.css', import.meta.url), 'utf8');
const SCRIPT = readFileSync(new URL('page.js', import.meta.url), 'utf8');

/**
 * What a browser may do with the page: take the one style and the one script in it, by their hashes, and ask here again.
 * Nothing else, whatever else there may be in it.
 */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src ${hashOf(STYLE)}`,
  `script-src ${hashOf(SCRIPT)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The whole page. */
export function renderPage(report: PageReport): string {
  const times = moments(Date.parse(report.at), report.timezone);
  const tone = report.healthy ? 'good' : 'bad';
  const title = report.healthy ? 'All is well' : 'Something is wrong';
  const page = html`<!doctype html>
    <html lang="en" data-page="${hashOf(STYLE)}${hashOf(SCRIPT)}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <title>${title} - backupd ${report.namespace}</title>
        <link rel="icon" href="${favicon(tone)}" />
        ${asIs(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <p id="stale" role="status"></p>
        <div id="page">
          <header class="top">
            <p class="brand">backupd <span>${report.namespace}</span></p>
            ${verdict(report)}
          </header>
          <main>
            ${problemList(report.problems)}${runningList(report.running, times)}${sourceCards(report, times)}${destinationTable(report.destinations, times)}${failureList(report.failures, times)}
          </main>
          ${pageFooter(report, times)}
        </div>
        ${asIs(`<script>${SCRIPT}</script>`)}
      </body>
    </html> `;
  return page.text;
}

function sourceCards({ sources, problems }: PageReport, times: ReturnType<typeof moments>): Html {
  if (sources.length === 0) {
    // Where it is not known what there is, nothing is said to be missing.
    return problems.some(({ code }) => code !== 'config-invalid') ? html`` : firstSteps();
  }
  return html` <section aria-labelledby="sources">
    <h2 id="sources">Sources</h2>
    <div class="cards">
      ${sources.toSorted(byTrouble).map((source) => sourceCard(source, times))}
    </div>
  </section>`;
}

/** What is not well comes first; else they stay in their order. */
function byTrouble(one: PageSource, other: PageSource): number {
  return Number(one.healthy) - Number(other.healthy);
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
