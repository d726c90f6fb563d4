import type { News } from './alarm-record.ts';
import type { Ping } from './pings.ts';

/** A way to tell people; also the value of a metric's label. */
export type ChannelName = 'slack' | 'email' | 'pagerduty' | 'webhook' | 'healthchecks';

/** What is sent through a channel at once. */
export type Message =
  | {
      readonly type: 'news';
      /** At least one; more than one only where people read it. */
      readonly news: readonly News[];
      readonly at: string;
    }
  | { readonly type: 'test'; readonly at: string };

/** Tells people. Loads what it needs when it first sends. */
export type Channel = MessageChannel | PingChannel;

export interface MessageChannel {
  readonly name: Exclude<ChannelName, 'healthchecks'>;
  readonly kind: 'digests' | 'events' | 'alerts';
  /**
   * Resolves when whoever gets it has said so. What was sent before, and not answered, can be sent again: it has the same key.
   * @throws NotDelivered
   */
  send(message: Message, signal: AbortSignal): Promise<void>;
}

export interface PingChannel {
  readonly name: 'healthchecks';
  readonly kind: 'pings';
  /** Whether each source has an address of its own. */
  readonly isBySource: boolean;
  /** @throws NotDelivered */
  ping(ping: Ping, signal: AbortSignal): Promise<void>;
}

/** Says that nobody was told. The message never holds a secret: addresses are some. */
export class NotDelivered extends Error {
  override readonly name = 'NotDelivered';
  /** How long to wait, as they said; null: they did not. */
  readonly retryAfterMs: number | null;
  /** Whether whoever gets it does not want this message, as far as they say: another one may be welcome. */
  readonly isRefused: boolean;

  constructor(
    message: string,
    options: { retryAfterMs?: number | null; isRefused?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.isRefused = options.isRefused ?? false;
  }
}
