import { plainText } from '../core/alarm-text.ts';
import type { PingChannel } from '../core/channel.ts';
import type { Ping } from '../core/pings.ts';
import type { Secret } from '../core/secret.ts';
import { post } from './http.ts';
import type { Sending } from './sending.ts';

export interface HealthchecksOptions extends Sending {
  readonly url: Secret<string>;
}

const PLACE = /\{source\}|%7Bsource%7D/gi;
/** What follows the address, by what is told. */
const ENDINGS = { success: '', failure: '/fail', test: '/log' } as const;

/** Pings as Healthchecks takes them: the address itself for success, `/fail` behind it for failure, `/log` for a test. */
export function healthchecksChannel({ url, ca, answerWithinMs }: HealthchecksOptions): PingChannel {
  return {
    name: 'healthchecks',
    kind: 'pings',
    isBySource: url.reveal().search(PLACE) !== -1,
    async ping(ping, signal) {
      const body = ping.text
        .split('\n')
        .map((line) => plainText(line))
        .join('\n');
      await post(
        {
          url: addressOf(url.reveal(), ping),
          headers: { 'content-type': 'text/plain; charset=utf-8' },
          body,
          ca,
          answerWithinMs,
          secrets: [url.reveal()],
        },
        signal,
      );
    },
  };
}

/** The ending belongs to the path, also where something follows that. */
function addressOf(text: string, { tells, source }: Ping): string {
  const url = new URL(text.replaceAll(PLACE, encodeURIComponent(source ?? '')));
  url.pathname = `${url.pathname.replace(/\/$/, '')}${ENDINGS[tells]}`;
  return url.href;
}
