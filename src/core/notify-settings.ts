import type { ChannelName } from './channel.ts';
import type { AlarmEvent } from './incident.ts';
import type { Secret } from './secret.ts';

/** How people are told. A channel that is null is not configured. */
export interface NotifySettings {
  /** What they are told of. */
  readonly on: readonly AlarmEvent[];
  /** The address is a secret: whoever has it can write there. */
  readonly slack: Secret<string> | null;
  readonly email: EmailSettings | null;
  readonly pagerduty: PagerDutySettings | null;
  readonly webhook: WebhookSettings | null;
  /** May have `{source}` in it. */
  readonly healthchecks: Secret<string> | null;
  /** Certificates that are trusted besides the usual ones, PEM. */
  readonly ca: string | null;
}

export interface EmailSettings {
  /** With user and password, where the server wants them. */
  readonly server: Secret<string>;
  readonly from: string;
  readonly to: readonly string[];
}

export interface PagerDutySettings {
  readonly key: Secret<string>;
  /** Where events are sent to. */
  readonly url: string;
}

export interface WebhookSettings {
  readonly url: Secret<string>;
  /** Signs what is sent; null: it is not signed. */
  readonly secret: Secret<string> | null;
}

/** The channels that are configured. */
export function configuredChannels(settings: NotifySettings): readonly ChannelName[] {
  const names = ['slack', 'email', 'pagerduty', 'webhook', 'healthchecks'] as const;
  return names.filter((name) => settings[name] !== null);
}
