import type { BucketSettings, DestinationSettings } from '../../src/core/destination-settings.ts';
import type { Destination } from '../../src/core/destination.ts';
import { bucketDestination } from '../../src/destinations/s3/s3.ts';
import { s3Proxy, type S3Proxy } from './s3-proxy.ts';
import { bucketSettings, startMinio, type S3Server } from './s3-server.ts';
import { temporaryFolder } from './storage.ts';

/** MinIO with a bucket, behind a proxy that disturbs. */
export interface S3Stage extends AsyncDisposable {
  readonly server: S3Server;
  readonly proxy: S3Proxy;
  readonly bucket: string;
  /** For files. */
  readonly dir: string;
  /** A key that was never used. */
  newKey(): string;
  /** A new destination behind the proxy, which waits for nothing long. */
  open(place?: Partial<BucketSettings>, settings?: Partial<DestinationSettings>): Destination;
}

export async function s3Stage(): Promise<S3Stage> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startMinio());
  const proxy = stack.use(await s3Proxy(server.endpoint));
  const { dir } = stack.use(await temporaryFolder());
  const bucket = await server.createBucket();
  const kept = stack.move();
  let keys = 0;
  return {
    server,
    proxy,
    bucket,
    dir,
    newKey() {
      keys += 1;
      return `demo/db/${keys}/shop.dump.zst`;
    },
    open(place = {}, settings = {}) {
      const all = bucketSettings({ bucket, endpoint: proxy.endpoint, ...place }, settings);
      return bucketDestination(all, all.place, { connectMs: 1000, idleMs: 700 });
    },
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}
