import {
  CreateBucketCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { BucketSettings, DestinationSettings } from '../../src/core/destination-settings.ts';
import { secret } from '../../src/core/secret.ts';
import { docker } from './run-process.ts';
import {
  startContainer,
  uniqueName,
  type ContainerOptions,
  type TestContainer,
} from './test-container.ts';
import { waitFor } from './wait-for.ts';

/** Of every test store. */
export const STORE_KEYS = { accessKeyId: 'backupd-test', secretAccessKey: 'backupd-test-secret' };

export interface BucketOptions {
  readonly versioned?: boolean;
  /** Made with object lock; with days: everything that is written is locked so long by itself. */
  readonly lock?: { readonly days: number | null };
}

/** A store for S3 with a client of one's own, which can do everything. */
export interface S3Server extends AsyncDisposable {
  readonly container: TestContainer;
  /** From this host. */
  readonly endpoint: string;
  readonly client: S3Client;
  /** Makes a bucket; returns its name. */
  createBucket(options?: BucketOptions): Promise<string>;
}

/** MinIO, empty. @param more such as certificates for TLS */
export async function startMinio(
  more: Partial<ContainerOptions> & { readonly tls?: { readonly ca: string } } = {},
): Promise<S3Server> {
  const { tls = null, ...options } = more;
  const container = await startContainer({
    image: 'backupd-test/minio:1',
    // What it keeps is gone with it: nothing has to reach a disk.
    tmpfs: { '/data': 'size=2g' },
    ...options,
    env: {
      MINIO_ROOT_USER: STORE_KEYS.accessKeyId,
      MINIO_ROOT_PASSWORD: STORE_KEYS.secretAccessKey,
      ...options.env,
    },
    more: ['-p', '127.0.0.1::9000', ...(options.more ?? [])],
  });
  return serverIn(container, { port: 9000, ca: tls?.ca ?? null });
}

/** moto, empty. */
export async function startMoto(): Promise<S3Server> {
  const container = await startContainer({
    image: 'backupd-test/moto:1',
    more: ['-p', '127.0.0.1::5000'],
  });
  return serverIn(container, { port: 5000, ca: null });
}

async function serverIn(
  container: TestContainer,
  { port, ca }: { readonly port: number; readonly ca: string | null },
): Promise<S3Server> {
  try {
    const endpoint = `${ca === null ? 'http' : 'https'}://${await docker('port', container.name, `${port}/tcp`)}`;
    const client = clientFor(endpoint, ca);
    await waitFor('store that answers', async () => {
      // What it says does not matter; a certificate that is not trusted is an answer, too.
      const answer = await fetch(endpoint).catch((error: unknown) =>
        isTlsError(error) ? error : null,
      );
      return answer !== null;
    });
    return {
      container,
      endpoint,
      client,
      createBucket: async (options = {}) => createBucket(client, options),
      async [Symbol.asyncDispose]() {
        client.destroy();
        await container[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    const log = await container.logs();
    await container[Symbol.asyncDispose]();
    throw new Error(`the store did not come up: ${log}`, { cause: error });
  }
}

function isTlsError(error: unknown): boolean {
  return (
    error instanceof Error &&
    /CERT|SIGN/.test(String((error.cause as { code?: string } | undefined)?.code))
  );
}

function clientFor(endpoint: string, ca: string | null): S3Client {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: STORE_KEYS,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...(ca === null ? {} : { requestHandler: { httpsAgent: { ca } } }),
  });
}

async function createBucket(
  client: S3Client,
  { versioned = false, lock }: BucketOptions,
): Promise<string> {
  const Bucket = uniqueName('bucket');
  await client.send(
    new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: lock !== undefined }),
  );
  if (versioned) {
    await client.send(
      new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }),
    );
  }
  if (lock !== undefined && lock.days !== null) {
    await client.send(
      new PutObjectLockConfigurationCommand({
        Bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: lock.days } },
        },
      }),
    );
  }
  return Bucket;
}

/** A destination in a bucket of a test store, as it would be configured. */
export function bucketSettings(
  place: Pick<BucketSettings, 'bucket' | 'endpoint'> & Partial<BucketSettings>,
  settings: Partial<DestinationSettings> = {},
): DestinationSettings & { readonly place: BucketSettings } {
  return {
    name: 's3',
    schedule: { patterns: [], timezone: 'UTC', catchUpMs: 0 },
    keep: null,
    rateBytes: null,
    isOffsite: null,
    allowedRegions: null,
    ...settings,
    place: {
      kind: 's3',
      prefix: 'backups',
      region: null,
      storageClass: null,
      pathStyle: null,
      lifecycle: null,
      objectLock: null,
      ca: null,
      credentials: {
        accessKeyId: STORE_KEYS.accessKeyId,
        secretAccessKey: secret(STORE_KEYS.secretAccessKey),
      },
      ...place,
    },
  };
}
