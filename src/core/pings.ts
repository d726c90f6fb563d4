import type { AlarmEvent, Incident } from './incident.ts';
import { isSettled } from './find-incidents.ts';
import type { SourceStatus, StatusReport } from './status.ts';

/** Tells a service that waits for them that backups are made, or that they are not. */
export interface Ping {
  /** `test` changes nothing there. */
  readonly tells: 'success' | 'failure' | 'test';
  /** Null: all sources together. */
  readonly source: string | null;
  readonly text: string;
  /** What it is of: the run that it tells of. The same is not told twice. */
  readonly mark: string;
}

/** What one look found, for alarms and pings. */
export interface Heard {
  readonly report: StatusReport;
  readonly incidents: readonly Incident[];
  /** Of what nothing could be seen: what was wrong before still is, as far as anybody knows. */
  readonly unseen: readonly AlarmEvent[];
}

/** All sources together, in the record of what was pinged. */
const TOGETHER = '';

/** The pings that are due: each run of a source that ended by itself is told once. */
export function planPings(
  pinged: Readonly<Record<string, string>>,
  heard: Heard,
  isBySource: boolean,
  nowMs: number,
): readonly Ping[] {
  const pings = isBySource
    ? heard.report.sources.map((status) => pingOf(status, nowMs))
    : [pingOfAll(heard)];
  return pings.filter((ping) => ping !== null && pinged[pingKey(ping)] !== ping.mark) as Ping[];
}

export function pingKey({ source }: Pick<Ping, 'source'>): string {
  return source ?? TOGETHER;
}

function pingOf(
  { source, failing, lastAttempt, overdueSince, suspicious }: SourceStatus,
  nowMs: number,
): Ping | null {
  if (failing !== null) {
    const { at, code, message, retryAt } = failing;
    const text = `backup of ${source} failed: ${message} (${code})`;
    return isSettled(retryAt, nowMs) ? { tells: 'failure', source, text, mark: at } : null;
  }
  // What is late already is not well because it was in time once.
  if (lastAttempt?.outcome !== 'success' || overdueSince !== null) {
    return null;
  }
  const { at } = lastAttempt;
  if (suspicious !== null) {
    const text = `backup of ${source} at ${at} is suspicious: the source had shrunk to next to nothing`;
    return { tells: 'failure', source, text, mark: `${at} suspicious` };
  }
  return { tells: 'success', source, text: `backup of ${source} succeeded at ${at}`, mark: at };
}

/** Whether it is wrong with what is saved: not a mistyped option, a channel, or a file of somebody else in the directory. */
function isOfBackups({ event, code }: Incident): boolean {
  return event !== 'config' && code !== 'storage-damaged';
}

/** Success only where all are well and nothing is wrong that people are told of; failure where anything is. */
function pingOfAll({ report, incidents }: Heard): Ping | null {
  const runs = report.sources.flatMap(({ lastAttempt }) => lastAttempt?.at ?? []).toSorted();
  const last = runs.at(-1);
  if (last === undefined) {
    return null;
  }
  if (report.healthy && !incidents.some((incident) => isOfBackups(incident))) {
    const text = `all ${report.sources.length} sources are backed up, the last one at ${last}`;
    return { tells: 'success', source: null, text, mark: `${last} well` };
  }
  // What may pass in a moment keeps it from being well, and is no failure yet.
  const wrong = incidents.filter(
    ({ opens, graceMs, code }) => opens && (graceMs === 0 || code === 'config-invalid'),
  );
  const titles = wrong.map(({ title }) => title);
  return titles.length === 0
    ? null
    : { tells: 'failure', source: null, text: titles.join('\n'), mark: `${last} wrong` };
}
