import type { ConfigProblem } from '../core/discovery.ts';
import type { NotifySettings } from '../core/notify-settings.ts';
import type { GlobalKey, GlobalValues } from './schema.ts';

/** The ways in which people are told, as far as each is whole. */
export function toNotifySettings(values: GlobalValues): NotifySettings {
  const { notifySmtpUrl: server, notifyEmailTo: to } = values;
  const { notifyPagerdutyKey: key, notifyWebhookUrl: webhook } = values;
  return {
    on: values.notifyOn,
    slack: values.notifySlackUrl,
    email:
      server === null || to === null
        ? null
        : { server, from: values.notifyEmailFrom ?? senderAt(server.reveal()), to },
    pagerduty: key === null ? null : { key, url: values.notifyPagerdutyUrl },
    webhook: webhook === null ? null : { url: webhook, secret: values.notifyWebhookSecret },
    healthchecks: values.notifyHealthchecksUrl,
    ca: values.notifyCa,
  };
}

/** Who logs in, where that is an address; else somebody at the server. */
function senderAt(server: string): string {
  const { username, hostname } = new URL(server);
  const user = decodeURIComponent(username);
  return user.includes('@') ? user : `backupd@${hostname}`;
}

/** Options that do nothing without others. */
const TOGETHER: readonly (readonly [GlobalKey, GlobalKey])[] = [
  ['notifySmtpUrl', 'notifyEmailTo'],
  ['notifyEmailFrom', 'notifySmtpUrl'],
  ['notifyEmailTo', 'notifySmtpUrl'],
  ['notifyWebhookSecret', 'notifyWebhookUrl'],
];

/** Whoever has set one of them believes to be told. */
export function describeIncomplete(
  values: GlobalValues,
  optionOf: (key: GlobalKey) => string,
): readonly ConfigProblem[] {
  return TOGETHER.filter(([one, other]) => values[one] !== null && values[other] === null).map(
    ([one, other]) => ({
      source: null,
      option: optionOf(one),
      message: `it is set and ${optionOf(other)} is not, expected both`,
      hint: `Set ${optionOf(other)}, or remove ${optionOf(one)}.`,
      severity: 'fatal',
    }),
  );
}
