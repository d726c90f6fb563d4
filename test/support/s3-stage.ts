import type { BucketSettings, DestinationSettings } from '../../src/core/destination-settings.ts';
import type { Destination } from '../../src/core/destination.ts';
import type { Patience } from '../../src/destinations/s3/bucket.ts';
import { bucketDestination } from '../../src/destinations/s3/s3.ts';
import { s3Proxy, type S3Proxy } from './s3-proxy.ts';
import { bucketSettings, startMinio, type S3Server } from './s3-server.ts';
import { temporaryFolder } from './storage.ts';

const PATIENT: Patience = { connectMs: 10_000, idleMs: 60_000 };

/** MinIO with a bucket, behind a proxy that disturbs. */
export interface S3Stage extends AsyncDisposable {
  readonly server: S3Server;
  readonly proxy: S3Proxy;
  readonly bucket: string;
  /** For files. */
  readonly dir: string;
  /** A key that was never used. */
  newKey(): string;
  /** A new destination behind the proxy. */
  open(place?: Partial<BucketSettings>, settings?: Partial<DestinationSettings>): Destination;
  /** One that waits no longer than two seconds for anything. */
  openImpatient(): Destination;
}

export async function s3Stage(): Promise<S3Stage> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startMinio());
  const proxy = stack.use(await s3Proxy(server.endpoint));
  const { dir } = stack.use(await temporaryFolder());
  const bucket = await server.createBucket();
  const kept = stack.move();
  let keys = 0;

  function open(
    patience: Patience,
    place: Partial<BucketSettings> = {},
    settings: Partial<DestinationSettings> = {},
  ): Destination {
    const all = bucketSettings({ bucket, endpoint: proxy.endpoint, ...place }, settings);
    return bucketDestination(all, all.place, patience);
  }

  return {
    server,
    proxy,
    bucket,
    dir,
    newKey() {
      keys += 1;
      return `demo/db/${keys}/shop.dump.zst`;
    },
    open: (place, settings) => open(PATIENT, place, settings),
    openImpatient: () => open({ connectMs: 2000, idleMs: 2000 }),
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}
