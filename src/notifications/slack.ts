import { describeNews, describeTest } from '../core/alarm-text.ts';
import type { MessageChannel } from '../core/channel.ts';
import type { Secret } from '../core/secret.ts';
import { post } from './http.ts';
import type { Sending } from './sending.ts';

export interface SlackOptions extends Sending {
  readonly url: Secret<string>;
}

/** An incoming webhook of Slack, or of a chat that takes the same. */
export function slackChannel({ url, namespace, ca, answerWithinMs }: SlackOptions): MessageChannel {
  return {
    name: 'slack',
    kind: 'digests',
    async send(message, signal) {
      const { subject, lines } =
        message.type === 'test'
          ? describeTest(namespace)
          : describeNews(message.news, namespace, Date.parse(message.at));
      const text = escapeText([subject, ...lines].join('\n'));
      await post(
        {
          url: url.reveal(),
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ text, mrkdwn: false, unfurl_links: false }),
          ca,
          answerWithinMs,
          secrets: [],
        },
        signal,
      );
    },
  };
}

/** As Slack asks for; and nobody is called by a name that has an "@" in it. */
function escapeText(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/@(?=\S)/g, '@\u200B');
}
