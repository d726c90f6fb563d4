import { formatDuration } from '../../core/duration.ts';
import type { PageSource } from '../../core/page-report.ts';
import type { CopyStatus, SourceState } from '../../core/status.ts';
import { formatOptionalSize, formatSize } from '../../cli/format.ts';
import { html, type Html, type Part } from './html.ts';
import { badge, type Tone } from './icons.ts';
import type { Moments } from './moment.ts';
import { sparkline } from './sparkline.ts';

const TONES: Readonly<Record<SourceState, Tone>> = {
  ok: 'good',
  running: 'busy',
  overdue: 'bad',
  failed: 'bad',
  never: 'warn',
  missing: 'bad',
};

/** How one source stands. */
export function sourceCard(source: PageSource, times: Moments): Html {
  const { source: name, engine, state } = source;
  const tone = TONES[state];
  return html` <article class="card ${tone}" aria-labelledby="source-${name}">
    <header>
      <h3 id="source-${name}">${name}</h3>
      <span class="engine">${engine}</span>
      ${badge(tone, state)}
    </header>
    ${trouble(source, times)}
    <div class="figures">
      <p class="figure"><span class="label">Last good</span> ${lastGood(source, times)}</p>
      <p class="figure">
        <span class="label">Size</span>
        <span class="rel">${formatOptionalSize(source.sizeBytes)}</span>
        <span class="abs">${tookText(source)}</span>
      </p>
      ${sparkline(source.history)}
    </div>
    <dl>
      ${row('Next run', source.nextRunAt === null ? 'none by itself' : times.ahead(source.nextRunAt))}
      ${row('Copies', copies(source, times))} ${row('3-2-1', threeTwoOne(source))}
      ${row('Drill', drill(source, times))} ${row('Verified', verified(source, times))}
      ${optionalRow('Targets', targets(source))}
      ${optionalRow('Kept', source.previous.length === 0 ? null : kept(source))}
    </dl>
    ${commandLine(source.restoreCommand, `Command that restores ${name}`)}
  </article>`;
}

/** A command to be copied. */
function commandLine(command: string, label: string): Html {
  return html`<div class="command">
    <code tabindex="0" aria-label="${label}">${command}</code
    ><button type="button" hidden data-copy aria-label="Copy: ${label}">Copy</button>
  </div>`;
}

function row(term: string, value: Part): Html {
  return html`<div>
    <dt>${term}</dt>
    <dd>${value}</dd>
  </div>`;
}

function optionalRow(term: string, value: Html | null): Html | null {
  return value === null ? null : row(term, value);
}

function lastGood({ lastSuccessAt }: PageSource, times: Moments): Html {
  return lastSuccessAt === null
    ? html`<span class="rel">none yet</span>`
    : times.ago(lastSuccessAt);
}

function tookText({ durationSeconds }: PageSource): string | null {
  return durationSeconds === null ? null : `made in ${formatDuration(durationSeconds * 1000)}`;
}

/** Why it is not well, where that is known. */
function trouble(
  { state, failing, maxAgeSeconds, history }: PageSource,
  times: Moments,
): Html | null {
  if (failing !== null) {
    const { at, message, hint, retryAt } = failing;
    const again = retryAt === null ? null : html`, tried again ${times.ahead(retryAt)}`;
    return html`<div class="trouble">
      <p>Failed ${times.ago(at)}${again}: ${message}</p>
      ${hint === null ? null : html`<p class="hint">${hint}</p>`}
    </div>`;
  }
  if (state === 'overdue' && maxAgeSeconds !== null) {
    return html`<p class="trouble">
      A backup should never be older than ${formatDuration(maxAgeSeconds * 1000)}.
    </p>`;
  }
  if (state === 'missing') {
    return html`<p class="trouble">
      Its container or volume is gone. Its backups are still here.
    </p>`;
  }
  return history.at(-1)?.good === false
    ? html`<p class="trouble">
        The newest backup is suspicious or damaged: a restore takes the last good one.
      </p>`
    : null;
}

function copies({ backups, storedBytes, copies }: PageSource, times: Moments): Html {
  const here = html`<li>
    ${badge(backups === 0 ? 'idle' : 'good', 'here')}
    <span>${backups} (${formatSize(storedBytes)})</span>
  </li>`;
  return html`<ul class="copies">
    ${here}${copies.map((copy) => copyItem(copy, times))}
  </ul>`;
}

const COPY_TONES: Readonly<Record<CopyStatus['state'], Tone>> = {
  ok: 'good',
  pending: 'warn',
  lost: 'bad',
};

function copyItem({ destination, state, at, pendingBackups }: CopyStatus, times: Moments): Html {
  const pending = pendingBackups === 0 ? null : html`, ${pendingBackups} pending`;
  const newest = at === null ? 'nothing there yet' : times.ago(at);
  const word = state === 'ok' ? destination : `${destination}: ${state}`;
  return html`<li>${badge(COPY_TONES[state], word)} <span>${newest}${pending}</span></li>`;
}

function threeTwoOne({ threeTwoOne: { holds, missing } }: PageSource): Html {
  return holds
    ? badge('good', 'holds')
    : html`${badge('warn', 'no')} <span>missing: ${missing.join(', ')}</span>`;
}

function drill({ lastDrill, drill: { skipped, nextRunAt } }: PageSource, times: Moments): Part {
  const missed =
    skipped === null
      ? null
      : html`<p>Not tried ${times.ago(skipped.at)}: ${skipped.failure.message}</p>`;
  if (lastDrill === null) {
    const none = nextRunAt === null ? 'none' : html`none yet, next ${times.ahead(nextRunAt)}`;
    return missed ?? none;
  }
  const { at, ok, recoveryMs, integrity, failure } = lastDrill;
  const took = recoveryMs === null ? null : html`, restored in ${formatDuration(recoveryMs)}`;
  const why = failure === null ? null : html`<p>${failure.message}</p>`;
  return html`${badge(ok ? 'good' : 'bad', ok ? 'passed' : 'failed')}
    <span>${times.ago(at)}${took}${ok && integrity === null ? ', nothing compared' : null}</span
    >${why}${missed}`;
}

/** What was asked for beside what was measured; null where nothing was asked for. */
function targets({ recovery: { rpo, rto } }: PageSource): Html | null {
  const lines = [targetItem('RPO', rpo), targetItem('RTO', rto)].filter((line) => line !== null);
  return lines.length === 0
    ? null
    : html`<ul>
        ${lines}
      </ul>`;
}

function targetItem(
  name: string,
  { targetSeconds, measuredSeconds, met }: PageSource['recovery']['rpo'],
): Html | null {
  if (targetSeconds === null) {
    return null;
  }
  const tone: Tone = met === null ? 'idle' : met ? 'good' : 'bad';
  const word = met === null ? 'not known' : met ? 'met' : 'missed';
  const measured =
    measuredSeconds === null ? 'not measured' : formatDuration(measuredSeconds * 1000);
  return html`<li>
    ${badge(tone, `${name} ${word}`)}
    <span>${measured}, at most ${formatDuration(targetSeconds * 1000)}</span>
  </li>`;
}

function verified({ lastVerifiedAt, damagedBackups }: PageSource, times: Moments): Part {
  const damaged = damagedBackups === 0 ? null : html`${badge('bad', `${damagedBackups} damaged`)} `;
  return html`${damaged}<span
      >${lastVerifiedAt === null ? 'not yet' : times.ago(lastVerifiedAt)}</span
    >`;
}

function kept({ source, previous }: PageSource): Html {
  return html`<span
    >${previous.join(', ')}, by a restore: <code>restore ${source} --undo</code> swaps back,
    <code>--drop-previous</code> drops</span
  >`;
}
