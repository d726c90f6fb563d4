import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Readable } from 'node:stream';
import { getCACertificates } from 'node:tls';
import { paced, type Rate } from '../rate.ts';

export interface Connecting {
  /** PEM, trusted besides the usual authorities. */
  readonly ca: string | null;
  readonly rate: Rate | null;
  /** How long a connection may take, and how long nothing may happen on one. */
  readonly connectMs: number;
  readonly idleMs: number;
}

/** What time it is where the store is. */
export interface StoreClock {
  /** By how much it is ahead of ours; null before the first answer. */
  aheadMs(): number | null;
}

/** What the SDK sends its requests with. */
export type RequestHandler = Extract<
  NonNullable<S3ClientConfig['requestHandler']>,
  { handle(...args: never): unknown }
>;
type Handle = NodeHttpHandler['handle'];

/** Sends requests at the rate that is allowed, and looks at the clock in the answers. */
export function requestHandler(how: Connecting): {
  readonly handler: RequestHandler;
  readonly clock: StoreClock;
} {
  const inner = new NodeHttpHandler({
    connectionTimeout: how.connectMs,
    socketTimeout: how.idleMs,
    httpAgent: new HttpAgent({ keepAlive: true }),
    httpsAgent: new HttpsAgent({
      keepAlive: true,
      ...(how.ca === null ? {} : { ca: [...getCACertificates('default'), how.ca] }),
    }),
  });
  let aheadMs: number | null = null;

  async function handle(
    request: Parameters<Handle>[0],
    options: Parameters<Handle>[1] = {},
  ): ReturnType<Handle> {
    const sent = how.rate === null ? request : slowly(request, how.rate, options.abortSignal);
    const answer = await inner.handle(sent, options);
    const date = Date.parse(answer.response.headers['date'] ?? '');
    if (!Number.isNaN(date)) {
      aheadMs = date - Date.now();
    }
    return answer;
  }

  return {
    handler: {
      metadata: inner.metadata,
      handle,
      destroy: () => {
        inner.destroy();
      },
      updateHttpClientConfig: () => {},
      httpHandlerConfigs: () => ({}),
    },
    clock: { aheadMs: () => aheadMs },
  };
}

/** The request anew, as each attempt needs it: what goes slowly is a stream, and what is signed and tried again the bytes. */
function slowly(
  request: Parameters<Handle>[0],
  rate: Rate,
  signal: NonNullable<Parameters<Handle>[1]>['abortSignal'],
): Parameters<Handle>[0] {
  const body: unknown = request.body;
  if (!(body instanceof Uint8Array) || body.length === 0) {
    return request;
  }
  const ending = signal instanceof AbortSignal ? signal : new AbortController().signal;
  const stream = Readable.from(paced(body, rate, ending), { objectMode: false });
  // It fails only where it is aborted, and then the request is ended as well.
  stream.on('error', () => undefined);
  // All else is as it was.
  return Object.create(request, { body: { value: stream } }) as typeof request;
}
