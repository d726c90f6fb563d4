import type { S3Client } from '@aws-sdk/client-s3';
import {
  variablesOf,
  type BucketSettings,
  type DestinationSettings,
} from '../../core/destination-settings.ts';
import { isKey } from '../../core/destination.ts';
import { bufferPool, type Buffers } from './buffers.ts';
import { storeFailure, type Asked, type AskedStore } from './failures.ts';
import type { RequestHandler, StoreClock } from './http.ts';

/** The SDK is loaded where a bucket is used: it takes tens of megabytes. */
export type Sdk = typeof import('@aws-sdk/client-s3');

/** What is given to every request. */
export interface SendOptions {
  readonly abortSignal: AbortSignal;
}

/** A bucket, with all that it takes to ask it something. */
export interface Bucket {
  readonly settings: DestinationSettings;
  readonly place: BucketSettings;
  readonly sdk: Sdk;
  readonly client: S3Client;
  readonly isAws: boolean;
  readonly clock: StoreClock;
  readonly buffers: Buffers;
  /** The whole key of one that is relative to the prefix. */
  fullKey(key: string): string;
  /** The beginning of whole keys. */
  fullPrefix(prefix: string): string;
  /** The key of a whole one. */
  relativeKey(fullKey: string): string;
  /**
   * Sends one request; what is transient was tried again by the SDK, and by nobody else.
   * @throws BackupdError by what the store says; its cause is the error of the SDK
   */
  ask<Answer>(
    asked: Asked,
    signal: AbortSignal,
    send: (options: SendOptions) => Promise<Answer>,
  ): Promise<Answer>;
}

/** How long a connection may take, and how long nothing may happen on one. */
export interface Patience {
  readonly connectMs: number;
  readonly idleMs: number;
}

const PATIENCE: Patience = { connectMs: 10_000, idleMs: 60_000 };
/** The first one included; they follow within seconds. */
const ATTEMPTS = 3;
/** Files with keys are read by each client anew; the SDK would remember for ever what it once read of them. */
const FRESH_KEYS = { ignoreCache: true };
/** What other stores take for any region. */
const ANY_REGION = 'us-east-1';

/** Whether an address is one of Amazon's own. */
function isAmazon(endpoint: string | null): boolean {
  return endpoint === null || /\.amazonaws\.com(?:\.cn)?$/.test(new URL(endpoint).hostname);
}

/** The class of archives; null: none is named. */
export function archiveClass({ storageClass, endpoint }: BucketSettings): string | null {
  return storageClass ?? (isAmazon(endpoint) ? 'STANDARD_IA' : null);
}

/** How the place is called: `s3://bucket/prefix at minio.example.com:9000`. */
export function placeName({ bucket, prefix, endpoint }: BucketSettings): string {
  const at = endpoint === null ? '' : ` at ${new URL(endpoint).host}`;
  return `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}${at}`;
}

/** Makes ready to ask a bucket; sends nothing yet. */
export async function openBucket(
  settings: DestinationSettings,
  place: BucketSettings,
  patience: Patience = PATIENCE,
): Promise<Bucket> {
  const [sdk, { requestHandler }, { rateOf }] = await Promise.all([
    import('@aws-sdk/client-s3'),
    import('./http.ts'),
    import('../rate.ts'),
  ]);
  const rate = settings.rateBytes === null ? null : rateOf(settings.rateBytes);
  const { handler, clock } = requestHandler({ ca: place.ca, rate, ...patience });
  const prefix = place.prefix === '' ? '' : `${place.prefix}/`;
  const store: AskedStore = {
    name: settings.name,
    place: placeName(place),
    bucket: place.bucket,
    host: place.endpoint === null ? 'AWS' : new URL(place.endpoint).host,
    variables: variablesOf(settings.name),
    clock,
  };
  return {
    settings,
    place,
    sdk,
    client: clientOf(sdk, place, handler),
    isAws: isAmazon(place.endpoint),
    clock,
    buffers: bufferPool(),
    fullKey(key) {
      if (!isKey(key)) {
        throw new Error(`${JSON.stringify(key)} can be no key`);
      }
      return `${prefix}${key}`;
    },
    fullPrefix: (beginning) => `${prefix}${beginning}`,
    relativeKey: (fullKey) => fullKey.slice(prefix.length),
    async ask(asked, signal, send) {
      signal.throwIfAborted();
      try {
        return await send({ abortSignal: signal });
      } catch (error) {
        signal.throwIfAborted();
        throw storeFailure(error, asked, store);
      }
    },
  };
}

function clientOf(
  sdk: Sdk,
  { endpoint, region, pathStyle, credentials }: BucketSettings,
  handler: RequestHandler,
): S3Client {
  const isAws = isAmazon(endpoint);
  const checksums = isAws ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED';
  const place = region ?? (isAws ? null : ANY_REGION);
  return new sdk.S3Client({
    ...(place === null ? {} : { region: place }),
    ...(endpoint === null ? {} : { endpoint }),
    ...(credentials === null
      ? FRESH_KEYS
      : {
          credentials: {
            accessKeyId: credentials.accessKeyId,
            secretAccessKey: credentials.secretAccessKey.reveal(),
          },
        }),
    forcePathStyle: pathStyle ?? !isAws,
    // The trailers and checksums that the SDK would add by itself are refused by other stores.
    requestChecksumCalculation: checksums,
    responseChecksumValidation: checksums,
    maxAttempts: ATTEMPTS,
    retryMode: 'standard',
    // The handler does not wait for the answer to it; a refusal is read all the same.
    expectContinueHeader: false,
    requestHandler: handler,
  });
}
