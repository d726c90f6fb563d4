import { describeNews, describeTest, plainText } from '../core/alarm-text.ts';
import type { News } from '../core/alarm-record.ts';
import type { MessageChannel } from '../core/channel.ts';
import { alarmKey } from '../core/incident.ts';
import type { PagerDutySettings } from '../core/notify-settings.ts';
import { post } from './http.ts';
import type { Sending } from './sending.ts';

export type PagerDutyOptions = PagerDutySettings & Sending;

interface PagerEvent {
  readonly event_action: 'trigger' | 'resolve';
  readonly dedup_key: string;
  readonly payload?: object;
}

/** PagerDuty takes no more of a summary. */
const LONGEST_SUMMARY = 1024;

/** Events API v2: an incident is triggered, and resolved under the same key. */
export function pagerdutyChannel({
  key,
  url,
  namespace,
  ca,
  answerWithinMs,
}: PagerDutyOptions): MessageChannel {
  async function enqueue(event: PagerEvent, signal: AbortSignal): Promise<void> {
    await post(
      {
        url,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ routing_key: key.reveal(), ...event }),
        ca,
        answerWithinMs,
        secrets: [key.reveal()],
      },
      signal,
    );
  }

  return {
    name: 'pagerduty',
    kind: 'alerts',
    async send(message, signal) {
      if (message.type === 'test') {
        const test = toTest(namespace);
        await enqueue(test, signal);
        await enqueue({ event_action: 'resolve', dedup_key: test.dedup_key }, signal);
        return;
      }
      for (const news of message.news) {
        await enqueue(toEvent(news, namespace, message.at), signal);
      }
    },
  };
}

function toTest(namespace: string): PagerEvent {
  const { subject } = describeTest(namespace);
  return {
    event_action: 'trigger',
    dedup_key: `backupd/${namespace}/-/test`,
    payload: { summary: subject, source: `backupd/${namespace}`, severity: 'info' },
  };
}

function toEvent(news: News, namespace: string, at: string): PagerEvent {
  const { incident, tells } = news;
  const dedupKey = alarmKey(incident, namespace);
  if (tells !== 'open') {
    return { event_action: 'resolve', dedup_key: dedupKey };
  }
  const { event, source, destination, since, code, message, hint, lastSuccessAt } = incident;
  const { subject } = describeNews([news], namespace, Date.parse(at));
  const subjectOf = source ?? destination ?? 'backupd';
  return {
    event_action: 'trigger',
    dedup_key: dedupKey,
    payload: {
      summary: `${subject}: ${plainText(message)}`.slice(0, LONGEST_SUMMARY),
      source: `${namespace}/${subjectOf}`,
      severity: code === 'config-warning' ? 'warning' : 'error',
      timestamp: since,
      component: subjectOf,
      group: namespace,
      class: event,
      custom_details: {
        code,
        since,
        last_good_backup: lastSuccessAt ?? 'none',
        what_to_do: hint === null ? null : plainText(hint),
      },
    },
  };
}
