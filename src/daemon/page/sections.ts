import type { PageReport, RecentFailure, RunningWork } from '../../core/page-report.ts';
import type { DestinationStatus, StatusReport } from '../../core/status.ts';
import { formatSize } from '../../cli/format.ts';
import { html, type Html, type Part } from './html.ts';
import { badge, icon, type Tone } from './icons.ts';
import type { Moments } from './moment.ts';

/** All is well, or how much is not. */
export function verdict({ healthy, sources, problems }: PageReport): Html {
  const unwell = sources.filter((source) => !source.healthy).length;
  const tone: Tone = healthy ? 'good' : 'bad';
  const words = healthy ? 'All is well' : 'Something is wrong';
  const many =
    sources.length === 0
      ? 'no source'
      : `${sources.length} ${sources.length === 1 ? 'source' : 'sources'}`;
  const counted = unwell === 0 ? many : `${unwell} of ${many} not well`;
  const said =
    problems.length === 0
      ? null
      : `, ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`;
  return html` <div class="verdict ${tone}">
    ${icon(tone)}
    <div>
      <h1>${words}</h1>
      <p>${counted}${said}</p>
    </div>
  </div>`;
}

export function problemList(problems: StatusReport['problems']): Html | null {
  return part(
    'problems',
    'Problems',
    problems.map(
      ({ message, hint }) =>
        html`<li>
          <p>${icon('warn')}<span>${message}</span></p>
          ${hintOf(hint)}
        </li>`,
    ),
  );
}

export function runningList(running: readonly RunningWork[], times: Moments): Html | null {
  return part(
    'running',
    'Running now',
    running.map(
      ({ source, destination, command, since }) =>
        html`<li>
          <p>
            ${icon('busy')}<span
              ><b>${source ?? destination}</b> ${workOf(command, destination)}, began
              ${times.ago(since)}</span
            >
          </p>
        </li>`,
    ),
  );
}

function workOf(command: string, destination: string | null): string {
  if (command !== 'daemon') {
    return `by “backupd ${command}”`;
  }
  return destination === null ? 'by its schedule' : 'is sent to or tidied up';
}

export function failureList(failures: readonly RecentFailure[], times: Moments): Html | null {
  return part(
    'failures',
    'Recent failures',
    failures.map(({ source, at, since, count, what, code, message, hint, over }) => {
      const often = count === 1 ? null : html`, ${count} times since ${times.date(since)}`;
      const state =
        what === 'restore'
          ? null
          : over
            ? badge('good', 'recovered')
            : badge('bad', 'not recovered');
      return html`<li>
        <p class="head">
          <b>${source}</b> <span>${what}</span> ${code === null ? null : html`<code>${code}</code>`}
          ${state} <span class="when">${times.ago(at)}${often}</span>
        </p>
        <p>${message}</p>
        ${hintOf(hint)}
      </li>`;
    }),
  );
}

const DESTINATION_TONES: Readonly<Record<DestinationStatus['state'], Tone>> = {
  ok: 'good',
  running: 'busy',
  pending: 'warn',
  overdue: 'bad',
  failed: 'bad',
  lost: 'bad',
  never: 'warn',
};

export function destinationTable(
  destinations: readonly DestinationStatus[],
  times: Moments,
): Html | null {
  if (destinations.length === 0) {
    return null;
  }
  const titles = ['Destination', 'State', 'Last upload', 'Pending', 'Next', 'Off-site'];
  const rows = destinations.map((each) => {
    const { destination, state, place, lastSuccessAt, pendingBackups, pendingBytes } = each;
    const cells: readonly Part[] = [
      badge(DESTINATION_TONES[state], state),
      lastSuccessAt === null ? 'never' : times.ago(lastSuccessAt),
      pendingBackups === 0 ? 'nothing' : `${pendingBackups} (${formatSize(pendingBytes)})`,
      each.nextRunAt === null ? 'by hand' : times.ahead(each.nextRunAt),
      each.isOffsite === null ? 'not known yet' : each.isOffsite ? 'yes' : 'no',
    ];
    const name = html`<th scope="row"><b>${destination}</b> <span class="abs">${place}</span></th>`;
    return html`<tr>
      ${name}${cells.map((cell, index) => html`<td data-title="${titles[index + 1] ?? ''}">${cell}</td>`)}
    </tr>`;
  });
  return html` <section aria-labelledby="destinations">
    <h2 id="destinations">Destinations</h2>
    <table>
      <thead>
        <tr>
          ${titles.map((title) => html`<th scope="col">${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </section>`;
}

/** What to do where there is nothing yet. */
export function firstSteps(): Html {
  return html` <section class="empty" aria-labelledby="first">
    <h2 id="first">Nothing is backed up yet</h2>
    <p>Put a label on what should be. In your compose file, on the service of the database:</p>
    <pre tabindex="0" aria-label="Label in a compose file">
labels:
  backupd.enable: 'true'</pre>
    <p>
      After <code>docker compose up -d</code> the first backup runs within a minute, and this page
      shows it.
    </p>
  </section>`;
}

export function pageFooter(
  { version, namespace, container, timezone, disk, at }: PageReport,
  times: Moments,
): Html {
  const free =
    disk === null
      ? null
      : html`<li>Free here: ${formatSize(disk.freeBytes)} of ${formatSize(disk.sizeBytes)}</li>`;
  return html` <footer>
    <ul>
      <li>backupd ${version}</li>
      <li>Namespace: ${namespace}</li>
      ${free}
      <li>As of ${times.date(at)} (${timezone})</li>
      <li><a href="api/status">JSON</a></li>
      <li><a href="metrics">Metrics</a></li>
    </ul>
    <p>
      This page only shows. Everything is done by the command line:
      <code>docker exec ${container} backupd --help</code>
    </p>
  </footer>`;
}

function hintOf(hint: string | null): Html | null {
  return hint === null ? null : html`<p class="hint">${hint}</p>`;
}

/** A list under a heading; nothing where it is empty. */
function part(id: string, title: string, items: readonly Html[]): Html | null {
  return items.length === 0
    ? null
    : html` <section class="list ${id}" aria-labelledby="${id}">
        <h2 id="${id}">${title}</h2>
        <ul>
          ${items}
        </ul>
      </section>`;
}
