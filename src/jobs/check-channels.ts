import { TEST_TEXT } from '../core/alarm-text.ts';
import { NotDelivered, type Channel } from '../core/channel.ts';
import { configuredChannels } from '../core/notify-settings.ts';
import { listChannels } from './channel-status.ts';
import { good, type Check } from './check-result.ts';
import type { App } from './context.ts';

const HINT =
  'Correct what is configured about it; docs/alarms.md describes every channel and how to test it.';

/** Whether people can be told, as far as that is known without telling them anything. */
export async function checkChannels(
  app: Pick<App, 'context' | 'settings'>,
): Promise<readonly Check[]> {
  const channels = await listChannels(app);
  return channels.map(({ channel, failure, failedInRow, lastSentAt }) => {
    if (failure !== null) {
      const message = `failed ${failedInRow} times in a row, the last time at ${failure.at}: ${failure.message}`;
      return { name: 'notify', subject: channel, ok: false, message, hint: HINT };
    }
    const last = lastSentAt === null ? 'nothing was sent yet' : `last used at ${lastSentAt}`;
    return good('notify', channel, `configured, ${last}; "backupd check --notify" sends a test`);
  });
}

/** Sends a test through every channel; all at once, so that one that hangs keeps nobody waiting. */
export async function testChannels(
  app: Pick<App, 'settings' | 'openChannels'>,
  source: string,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  if (configuredChannels(app.settings.notify).length === 0) {
    return [
      {
        name: 'notify',
        subject: 'channels',
        ok: false,
        message: 'there is no channel, so nobody is told when backups fail',
        hint: 'Configure one with BACKUPD_NOTIFY_*; docs/alarms.md describes them.',
      },
    ];
  }
  const channels = await app.openChannels();
  return Promise.all(channels.map((channel) => testChannel(channel, source, signal)));
}

async function testChannel(channel: Channel, source: string, signal: AbortSignal): Promise<Check> {
  try {
    const at = new Date().toISOString();
    if (channel.kind === 'pings') {
      await channel.ping({ tells: 'test', source, text: TEST_TEXT, mark: at }, signal);
    } else {
      await channel.send({ type: 'test', at }, signal);
    }
    return good('notify', channel.name, 'a test was sent and accepted: see whether it arrived');
  } catch (error) {
    if (!(error instanceof NotDelivered)) {
      throw error;
    }
    const { message } = error;
    return { name: 'notify', subject: channel.name, ok: false, message, hint: HINT };
  }
}
