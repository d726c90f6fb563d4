/** What people can be told of; `failure` includes verification and upload. */
export const ALARM_EVENTS = ['failure', 'overdue', 'recovery', 'drill', 'disk', 'config'] as const;
export type AlarmEvent = (typeof ALARM_EVENTS)[number];

/** Something that is wrong now, as one look found it. */
export interface Incident {
  readonly event: Exclude<AlarmEvent, 'recovery'>;
  /** Null: of no single source. */
  readonly source: string | null;
  /** Null: of no single destination. */
  readonly destination: string | null;
  /** Tells those of one event and source apart: `backup`, `verification`. */
  readonly about: string;
  /** What is wrong, in a few words, and what is said when it is over. */
  readonly title: string;
  readonly overTitle: string;
  /** Null: since it was first seen. */
  readonly since: string | null;
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  /** Of the source. */
  readonly lastSuccessAt: string | null;
  /** How long it must last before anybody is told: what passes in that time is no news. */
  readonly graceMs: number;
  /** Whether it begins an incident; else it only keeps one from being over. */
  readonly opens: boolean;
}

/** What an incident has of which nothing else is said. */
export const OF_NOTHING = {
  source: null,
  destination: null,
  lastSuccessAt: null,
  since: null,
  graceMs: 0,
  opens: true,
} as const;

/** The same for all looks at the same trouble. */
export function incidentKey({
  event,
  source,
  destination,
  about,
}: Pick<Incident, 'event' | 'source' | 'destination' | 'about'>): string {
  return [event, source ?? '', destination ?? '', about].join('/');
}

/** By what a place that has alarms of its own knows one: `backupd/<namespace>/<source>/<event>`. */
export function alarmKey(
  { event, source, destination }: Pick<Incident, 'event' | 'source' | 'destination'>,
  namespace: string,
): string {
  // A source cannot be called so.
  const other = destination === null ? '-' : `to:${destination}`;
  return `backupd/${namespace}/${source ?? other}/${event}`;
}
