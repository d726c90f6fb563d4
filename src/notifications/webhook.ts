import { createHmac } from 'node:crypto';
import { occurrenceKey, type News } from '../core/alarm-record.ts';
import { plainText } from '../core/alarm-text.ts';
import type { Message, MessageChannel } from '../core/channel.ts';
import { alarmKey } from '../core/incident.ts';
import type { WebhookSettings } from '../core/notify-settings.ts';
import { post } from './http.ts';
import type { Sending } from './sending.ts';

export type WebhookOptions = WebhookSettings & Sending;

/** Posts JSON, one event at a time; signed where there is a secret. */
export function webhookChannel({
  url,
  secret,
  namespace,
  ca,
  answerWithinMs,
}: WebhookOptions): MessageChannel {
  return {
    name: 'webhook',
    kind: 'events',
    async send(message, signal) {
      const body = JSON.stringify(toEvent(message, namespace));
      const key = secret?.reveal() ?? null;
      await post(
        {
          url: url.reveal(),
          headers: {
            'content-type': 'application/json',
            ...(key === null ? {} : { 'x-backupd-signature': `sha256=${sign(body, key)}` }),
          },
          body,
          ca,
          answerWithinMs,
          secrets: key === null ? [] : [key],
        },
        signal,
      );
    },
  };
}

function sign(body: string, key: string): string {
  return createHmac('sha256', key).update(body).digest('hex');
}

function toEvent(message: Message, namespace: string): object {
  const { at } = message;
  if (message.type === 'test') {
    return {
      event: 'test',
      namespace,
      source: null,
      at,
      since: null,
      code: 'test',
      message: 'this is a test, nothing is wrong',
      hint: null,
      lastSuccessAt: null,
      destination: null,
      of: null,
      key: `backupd/${namespace}/-/test`,
    };
  }
  const [news] = message.news;
  return news === undefined ? {} : describeEvent(news, namespace, at);
}

function describeEvent({ incident, tells }: News, namespace: string, at: string): object {
  const { event, source, destination, since, overAt, code, hint, lastSuccessAt } = incident;
  const isOver = tells !== 'open';
  return {
    event: isOver ? 'recovery' : event,
    namespace,
    source,
    at: isOver ? (overAt ?? at) : at,
    since,
    code,
    message: plainText(isOver ? incident.overTitle : incident.message),
    hint: isOver || hint === null ? null : plainText(hint),
    lastSuccessAt,
    destination,
    // What is over, in the event that says so.
    of: isOver ? event : null,
    // The same for all that is said of one incident, also when it is said again.
    key: `${alarmKey(incident, namespace)}/${occurrenceKey(incident)}`,
  };
}
