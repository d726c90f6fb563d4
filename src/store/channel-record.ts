import { NOTHING_TOLD, type ChannelRecord } from '../core/alarm-record.ts';
import type { ChannelName } from '../core/channel.ts';
import { readJson } from './atomic-file.ts';
import { statePath, writeState } from './state-file.ts';

/**
 * What a channel was told; nothing where it is missing or damaged, which the catalog reports: what is wrong is then told
 * once more.
 */
export async function readChannelRecord(dir: string, channel: ChannelName): Promise<ChannelRecord> {
  const stored = await readJson(statePath(dir, 'alarms', channel));
  return stored.state === 'present' && isRecord(stored.value)
    ? { ...NOTHING_TOLD, ...stored.value }
    : NOTHING_TOLD;
}

/** The daemon alone writes it. @throws BackupdError `no-space`, `storage-unavailable` */
export async function writeChannelRecord(
  dir: string,
  channel: ChannelName,
  record: ChannelRecord,
): Promise<void> {
  await writeState(dir, { kind: 'alarms', name: [channel] }, record);
}

function isRecord(value: unknown): value is Partial<ChannelRecord> {
  const { incidents, failuresTotal } = (value ?? {}) as Partial<ChannelRecord>;
  return Array.isArray(incidents) && typeof failuresTotal === 'number';
}
