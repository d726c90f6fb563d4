import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import {
  follow,
  isWaiting,
  markArrived,
  markFailed,
  markRefused,
  markSent,
  NOTHING_TOLD,
  planMessages,
  refresh,
  type ChannelRecord,
} from '../core/alarm-record.ts';
import { NotDelivered, type Channel } from '../core/channel.ts';
import { troubleWith } from '../core/find-around.ts';
import type { AlarmEvent } from '../core/incident.ts';
import { pingKey, planPings, type Heard } from '../core/pings.ts';
import { reach } from '../core/steps.ts';
import { readChannelRecord, writeChannelRecord } from '../store/channel-record.ts';
import { troubleFields } from './trouble.ts';

/** Tells people through one channel; one that is dead holds up no other. */
export interface Teller {
  /** Takes in what a look found, and begins to tell what is news, unless that is being done. Never throws. */
  hear(heard: Heard): void;
  /** Resolves when nothing is being told. */
  idle(): Promise<void>;
}

export interface TellerOptions {
  readonly channel: Channel;
  readonly on: readonly AlarmEvent[];
  readonly namespace: string;
  readonly dir: string;
  readonly log: Logger;
}

interface State {
  /** The truth of this life: on a disk that is full it cannot be written, and nobody is to be told everything again. */
  record: ChannelRecord;
  written: ChannelRecord;
  /** Why it could not be written, as it was logged last. */
  unwritable: string | null;
  heard: Heard;
}

/** Something to send. */
interface Delivery {
  /** For the log. */
  readonly what: readonly string[];
  send(): Promise<void>;
  /** The record after it has arrived, and after it has not. */
  arrived(record: ChannelRecord, nowMs: number): ChannelRecord;
  failed(record: ChannelRecord, error: NotDelivered, nowMs: number): ChannelRecord;
}

export function teller(options: TellerOptions, signal: AbortSignal): Teller {
  const { channel, log } = options;
  let state: State | null = null;
  let working: Promise<void> | null = null;

  async function work(heard: Heard): Promise<void> {
    try {
      if (state === null) {
        const record = await readRecord(options);
        state = { record, written: record, unwritable: null, heard };
      }
      takeIn(options, state, heard);
      await tellAll(options, state, signal);
    } catch (error) {
      if (!signal.aborted) {
        log.error({ channel: channel.name, ...troubleFields(error) }, 'alarms not told');
      }
    } finally {
      working = null;
    }
  }

  return {
    hear(heard) {
      if (working === null) {
        working = work(heard);
      } else if (state !== null) {
        takeIn(options, state, heard);
      }
    },
    async idle() {
      await working;
    },
  };
}

/** Where it cannot be read people are rather told twice than not at all. */
async function readRecord({ channel, dir, log }: TellerOptions): Promise<ChannelRecord> {
  try {
    return await readChannelRecord(dir, channel.name);
  } catch (error) {
    log.error({ channel: channel.name, ...troubleFields(error) }, 'what was told not read');
    return NOTHING_TOLD;
  }
}

/** Nobody is told through a channel that the channel itself does not work. */
function takeIn({ channel, on, namespace }: TellerOptions, state: State, heard: Heard): void {
  state.heard = heard;
  if (channel.kind !== 'pings') {
    const { report, incidents, unseen } = heard;
    const kept = state.record.incidents.filter(
      ({ event, overAt }) => overAt === null && unseen.includes(event),
    );
    const found = [...kept, ...incidents];
    const others = found.filter(({ about }) => about !== troubleWith(channel.name));
    const manner = { kind: channel.kind, on, namespace };
    const known = unseen.includes('failure') ? state.record : refresh(state.record, report.sources);
    state.record = follow(known, others, manner, Date.now());
  }
}

async function tellAll(options: TellerOptions, state: State, signal: AbortSignal): Promise<void> {
  await save(options, state);
  while (!signal.aborted && !isWaiting(state.record, Date.now())) {
    const delivery = planDelivery(options.channel, state, signal);
    if (delivery === null || !(await deliver(delivery, options, state, signal))) {
      return;
    }
  }
}

function planDelivery(channel: Channel, state: State, signal: AbortSignal): Delivery | null {
  const { record, heard } = state;
  const nowMs = Date.now();
  if (channel.kind === 'pings') {
    const [ping] = planPings(record.pinged, heard, channel.isBySource, nowMs);
    return ping === undefined
      ? null
      : {
          what: [ping.text],
          send: () => channel.ping(ping, signal),
          arrived: (now, atMs) =>
            markArrived({ ...now, pinged: { ...now.pinged, [pingKey(ping)]: ping.mark } }, atMs),
          failed: markFailed,
        };
  }
  const [news] = planMessages(record, channel, nowMs);
  const at = new Date(nowMs).toISOString();
  return news === undefined
    ? null
    : {
        what: news.map(({ incident, tells }) =>
          tells === 'open' ? incident.title : incident.overTitle,
        ),
        send: () => channel.send({ type: 'news', news, at }, signal),
        arrived: (now, atMs) => markSent(now, news, atMs),
        failed: (now, error, atMs) =>
          error.isRefused ? markRefused(now, news, error, atMs) : markFailed(now, error, atMs),
      };
}

/** @returns whether it arrived */
async function deliver(
  delivery: Delivery,
  options: TellerOptions,
  state: State,
  signal: AbortSignal,
): Promise<boolean> {
  const { log, channel } = options;
  try {
    await delivery.send();
  } catch (error) {
    if (signal.aborted || !(error instanceof NotDelivered)) {
      throw error;
    }
    state.record = delivery.failed(state.record, error, Date.now());
    const { tryAgainAt } = state.record;
    log.warn({ channel: channel.name, error: error.message, tryAgainAt }, 'alarm not sent');
    await save(options, state);
    return false;
  }
  reach('alarm-sent');
  state.record = delivery.arrived(state.record, Date.now());
  await save(options, state);
  reach('alarm-recorded');
  log.info({ channel: channel.name, what: delivery.what }, 'alarm sent');
  return true;
}

async function save({ channel, dir, log }: TellerOptions, state: State): Promise<void> {
  const { record } = state;
  if (isDeepStrictEqual(record, state.written)) {
    return;
  }
  try {
    await writeChannelRecord(dir, channel.name, record);
    state.written = record;
    state.unwritable = null;
  } catch (error) {
    const fields = troubleFields(error);
    if (state.unwritable !== fields['error']) {
      log.error({ channel: channel.name, ...fields }, 'what was told not written down');
    }
    state.unwritable = String(fields['error']);
  }
}
