import { NOTHING_TOLD, type ChannelRecord } from '../core/alarm-record.ts';
import type { ChannelName } from '../core/channel.ts';
import { toFailure } from '../core/errors.ts';
import { configuredChannels } from '../core/notify-settings.ts';
import type { ChannelStatus } from '../core/status.ts';
import { readChannelRecord } from '../store/channel-record.ts';
import type { App } from './context.ts';
import type { StatusProblem } from './status.ts';

/** How each channel stands, from what is on disk. */
export async function listChannels({
  context,
  settings,
}: Pick<App, 'context' | 'settings'>): Promise<readonly ChannelStatus[]> {
  return Promise.all(
    configuredChannels(settings.notify).map((channel) => readChannel(context.storage.dir, channel)),
  );
}

async function readChannel(dir: string, channel: ChannelName): Promise<ChannelStatus> {
  let record: ChannelRecord;
  try {
    record = await readChannelRecord(dir, channel);
  } catch (error) {
    const { message } = toFailure(error);
    const failure = { at: new Date().toISOString(), message };
    return { ...NOTHING_TOLD, channel, failure, failedInRow: 1 };
  }
  const { failedInRow, failuresTotal, failure, lastSentAt, tryAgainAt } = record;
  return { channel, failedInRow, failuresTotal, failure, lastSentAt, tryAgainAt };
}

/** Backups are made all the same; but nobody would be told if they were not. */
export function describeChannel({
  channel,
  failure,
  failedInRow,
}: ChannelStatus): readonly StatusProblem[] {
  if (failure === null) {
    return [];
  }
  const times = failedInRow === 1 ? 'once' : `${failedInRow} times in a row`;
  return [
    {
      code: 'notify-failed',
      message: `nobody is told through ${channel}: it failed ${times}, ${failure.message}`,
      hint: `Correct what is configured about it (docs/alarms.md), and try it with "backupd check --notify". What was to be told is kept and sent when it works.`,
    },
  ];
}
