import type { Channel } from '../core/channel.ts';
import type { NotifySettings } from '../core/notify-settings.ts';
import type { Sending } from './sending.ts';

/** The channels that are configured. What none of them needs is not loaded. */
export async function openChannels(
  settings: NotifySettings,
  about: Pick<Sending, 'namespace' | 'answerWithinMs'>,
): Promise<readonly Channel[]> {
  const { slack, email, pagerduty, webhook, healthchecks, ca } = settings;
  const sending = { ...about, ca };
  const channels: Channel[] = [];
  if (slack !== null) {
    const { slackChannel } = await import('./slack.ts');
    channels.push(slackChannel({ url: slack, ...sending }));
  }
  if (email !== null) {
    const { emailChannel } = await import('./email.ts');
    channels.push(emailChannel({ ...email, ...sending }));
  }
  if (pagerduty !== null) {
    const { pagerdutyChannel } = await import('./pagerduty.ts');
    channels.push(pagerdutyChannel({ ...pagerduty, ...sending }));
  }
  if (webhook !== null) {
    const { webhookChannel } = await import('./webhook.ts');
    channels.push(webhookChannel({ ...webhook, ...sending }));
  }
  if (healthchecks !== null) {
    const { healthchecksChannel } = await import('./healthchecks.ts');
    channels.push(healthchecksChannel({ url: healthchecks, ...sending }));
  }
  return channels;
}
