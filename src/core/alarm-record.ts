import { backOffMs } from './back-off.ts';
import { addRefusal, isHeldBack, keepRefusals, MOST_REFUSALS, type Refusals } from './refusals.ts';
import type { SourceStatus } from './status.ts';
import { alarmKey, incidentKey, type AlarmEvent, type Incident } from './incident.ts';

/** What one channel was told, and is still to be told. Instants are ISO 8601, UTC. */
export interface ChannelRecord {
  /** What is wrong, or is over and was not told yet. */
  readonly incidents: readonly Followed[];
  /** When messages were sent, as far as it matters how many there were. */
  readonly sentAt: readonly string[];
  /** What was pinged last, by source; `` for all of them together. */
  readonly pinged: Readonly<Record<string, string>>;
  readonly lastSentAt: string | null;
  /** Messages that ever failed to be sent; never goes down. */
  readonly failuresTotal: number;
  readonly failedInRow: number;
  /** Why the last one could not be sent; null: it was. */
  readonly failure: { readonly at: string; readonly message: string } | null;
  readonly tryAgainAt: string | null;
  /** News that were not taken, though others may be, by their occurrence. */
  readonly refused: Refusals;
}

/** An incident as a channel knows it. */
export interface Followed extends Incident {
  readonly since: string;
  readonly seenAt: string;
  /** Null: it lasts. */
  readonly overAt: string | null;
  /** Whether the channel was told of it. */
  readonly isTold: boolean;
}

/** What one message tells: that something is wrong, that it is over, or both at once. */
export interface News {
  readonly incident: Followed;
  readonly tells: 'open' | 'over' | 'both';
}

/** How a channel is to be spoken to. */
export interface Manner {
  /**
   * `digests`: people read it, several news come in one message; `events`: a message for each; `alerts`: it has alarms of
   * its own, which last until it is told that they are over.
   */
  readonly kind: 'digests' | 'events' | 'alerts';
  readonly on: readonly AlarmEvent[];
  readonly namespace: string;
}

export const NOTHING_TOLD: ChannelRecord = {
  incidents: [],
  sentAt: [],
  pinged: {},
  lastSentAt: null,
  failuresTotal: 0,
  failedInRow: 0,
  failure: null,
  tryAgainAt: null,
  refused: {},
};

/** So many news wait for a channel that is dead; more would fill the disk, and nobody would read them. */
const MOST_WAITING = 500;

/** The record after a look: what is new is in it, and what is not found any more is over. */
export function follow(
  record: ChannelRecord,
  found: readonly Incident[],
  manner: Manner,
  nowMs: number,
): ChannelRecord {
  const now = new Date(nowMs).toISOString();
  const current = new Map(
    found
      .filter(({ event }) => manner.on.includes(event))
      .map((incident) => [incidentKey(incident), incident]),
  );
  const followed: Followed[] = [];
  for (const known of record.incidents) {
    const key = incidentKey(known);
    const incident = current.get(key);
    if (known.overAt !== null) {
      followed.push(known);
    } else if (incident !== undefined) {
      const { since, seenAt, overAt, isTold } = known;
      followed.push({ ...incident, since, seenAt, overAt, isTold });
      current.delete(key);
    } else if (known.isTold || hasLasted(known, nowMs)) {
      followed.push({ ...known, overAt: now });
    }
  }
  for (const incident of current.values()) {
    if (incident.opens) {
      followed.push(begin(incident, followed, now));
    }
  }
  const incidents = withoutNeedless(followed, manner);
  const lasting = incidents.filter(({ overAt }) => overAt === null);
  const over = incidents.filter(({ overAt }) => overAt !== null).slice(-MOST_WAITING);
  const occurrences = new Set([...over, ...lasting].map((each) => occurrenceKey(each)));
  const refused = keepRefusals(record.refused, (each) => occurrences.has(each));
  return { ...record, incidents: [...over, ...lasting], refused };
}

function begin(incident: Incident, others: readonly Followed[], now: string): Followed {
  const begun = { ...incident, seenAt: now, overAt: null, isTold: false };
  const since = incident.since ?? now;
  const key = occurrenceKey({ ...begun, since });
  // One that is over, and not told yet, may have begun with the same.
  return { ...begun, since: others.some((each) => occurrenceKey(each) === key) ? now : since };
}

/** The record with what is known now of the sources of what lasts: that is told when it is over. */
export function refresh(
  record: ChannelRecord,
  sources: readonly Pick<SourceStatus, 'source' | 'lastSuccessAt'>[],
): ChannelRecord {
  const good = new Map(sources.map(({ source, lastSuccessAt }) => [source, lastSuccessAt]));
  const incidents = record.incidents.map((each) => {
    const { source, overAt, event } = each;
    if (source === null || overAt !== null || event === 'config') {
      return each;
    }
    const lastSuccessAt = good.get(source);
    // What was forgotten, or is not labelled any more, has not become well.
    return lastSuccessAt === undefined
      ? { ...each, overTitle: `${source} is no source any more` }
      : { ...each, lastSuccessAt };
  });
  return { ...record, incidents };
}

/** Clocks are corrected by so much all the time. */
const CLOCK_MS = 60_000;

/** What passed in its grace is no news. */
function hasLasted({ seenAt, graceMs }: Followed, nowMs: number): boolean {
  const lastedMs = nowMs - Date.parse(seenAt);
  // A clock that was set back hides nothing.
  return lastedMs >= graceMs || lastedMs < -CLOCK_MS;
}

/** Whether the channel was told of it, and not that it is over. */
function isOn({ overAt, isTold }: Followed): boolean {
  return overAt === null && isTold;
}

/** Nobody is told that something is over who does not want to be, or whose alarm goes on for another reason. */
function withoutNeedless(
  followed: readonly Followed[],
  { kind, on, namespace }: Manner,
): readonly Followed[] {
  // Of one that was not told yet nobody may ever hear: it can pass in its grace.
  const lasting = new Set(
    followed.filter((each) => isOn(each)).map((each) => alarmKey(each, namespace)),
  );
  return followed.filter((each) => {
    const isOver = each.overAt !== null && each.isTold;
    if (kind === 'alerts') {
      return !isOver || !lasting.has(alarmKey(each, namespace));
    }
    return !isOver || on.includes('recovery');
  });
}

/** In so long, and how many messages people get in it. */
const FLOOD = { withinMs: 600_000, most: 6, single: 4 } as const;

/**
 * The messages that are due now, in their order; each is what is told in one. Where many news come at once people get
 * them in one message, and where messages do not end they wait for the next one.
 */
export function planMessages(
  record: ChannelRecord,
  { kind }: Pick<Manner, 'kind'>,
  nowMs: number,
): readonly (readonly News[])[] {
  const due = record.incidents
    .filter((incident) => !isHeldBack(record.refused, occurrenceKey(incident), nowMs))
    .filter((incident) => kind !== 'alerts' || !isOverlaid(incident, record))
    .flatMap((incident) => toNews(incident, kind, nowMs));
  if (kind !== 'digests') {
    return due.map((news) => [news]);
  }
  const allowed = FLOOD.most - recent(record.sentAt, nowMs).length;
  if (due.length <= Math.min(FLOOD.single, allowed)) {
    return due.map((news) => [news]);
  }
  return allowed > 0 ? [due] : [];
}

function toNews(incident: Followed, kind: Manner['kind'], nowMs: number): readonly News[] {
  const { isTold, overAt } = incident;
  if (overAt === null) {
    return isTold || !hasLasted(incident, nowMs) ? [] : [{ incident, tells: 'open' }];
  }
  return [{ incident, tells: isTold ? 'over' : kind === 'digests' ? 'both' : 'open' }];
}

/** Whether another one of the same alert went before it: that it is over would end that one. */
function isOverlaid(incident: Followed, { incidents }: ChannelRecord): boolean {
  const key = alarmKey(incident, '');
  const isOver = incident.overAt !== null && incident.isTold;
  return isOver && incidents.some((each) => isOn(each) && alarmKey(each, '') === key);
}

function recent(sentAt: readonly string[], nowMs: number): readonly string[] {
  // A clock that was set back leaves instants in the future: they do not count.
  return sentAt.filter((at) => Math.abs(nowMs - Date.parse(at)) < FLOOD.withinMs);
}

/** The record after these news have arrived. */
export function markSent(
  record: ChannelRecord,
  sent: readonly News[],
  nowMs: number,
): ChannelRecord {
  const told = new Map(sent.map((news) => [occurrenceKey(news.incident), news.tells]));
  const incidents = record.incidents.flatMap((incident) => {
    const tells = told.get(occurrenceKey(incident));
    return tells === undefined
      ? [incident]
      : tells === 'open'
        ? [{ ...incident, isTold: true }]
        : [];
  });
  const refused = keepRefusals(record.refused, (key) => !told.has(key));
  return markArrived({ ...record, incidents, refused }, nowMs);
}

/** The record after anything has arrived. */
export function markArrived(record: ChannelRecord, nowMs: number): ChannelRecord {
  const now = new Date(nowMs).toISOString();
  return {
    ...record,
    sentAt: [...recent(record.sentAt, nowMs), now],
    lastSentAt: now,
    failedInRow: 0,
    failure: null,
    tryAgainAt: null,
  };
}

/** Tried again after half a minute, then after twice as long each time, at least every hour. */
const BACK_OFF = { leastMs: 30_000, mostMs: 3_600_000 };

/** Why something did not arrive. */
interface Failed {
  readonly message: string;
  readonly retryAfterMs: number | null;
}

/** The record after something did not arrive. */
export function markFailed(record: ChannelRecord, failed: Failed, nowMs: number): ChannelRecord {
  const failedInRow = record.failedInRow + 1;
  return {
    ...record,
    failuresTotal: record.failuresTotal + 1,
    failedInRow,
    failure: { at: new Date(nowMs).toISOString(), message: failed.message },
    tryAgainAt: tryAgainAt(failedInRow, failed, nowMs),
  };
}

function tryAgainAt(times: number, { retryAfterMs }: Failed, nowMs: number): string {
  const askedMs = Math.min(BACK_OFF.mostMs, retryAfterMs ?? 0);
  return new Date(nowMs + Math.max(backOffMs(times, BACK_OFF), askedMs)).toISOString();
}

/**
 * The record after these news were refused. At first the channel is left alone as after any failure, since it may be what
 * is wrong. Then only they are: one message that nobody takes keeps no other from being told.
 */
export function markRefused(
  record: ChannelRecord,
  news: readonly News[],
  failed: Failed,
  nowMs: number,
): ChannelRecord {
  const keys = news.map(({ incident }) => occurrenceKey(incident));
  const { refusals, leastTimes } = addRefusal(record.refused, keys, nowMs);
  return {
    ...markFailed(record, failed, nowMs),
    refused: refusals,
    tryAgainAt: leastTimes < MOST_REFUSALS ? tryAgainAt(leastTimes, failed, nowMs) : null,
  };
}

/** Whether a channel that failed is still to be left alone. */
export function isWaiting({ tryAgainAt }: ChannelRecord, nowMs: number): boolean {
  const leftMs = tryAgainAt === null ? 0 : Date.parse(tryAgainAt) - nowMs;
  return leftMs > 0 && leftMs <= BACK_OFF.mostMs;
}

/** The same for all messages about one incident, whoever sends them and how often. */
export function occurrenceKey(incident: Followed): string {
  return `${incidentKey(incident)}/${incident.since}`;
}
