import { S3Client } from '@aws-sdk/client-s3';
import { bucketDestination } from '../../src/destinations/s3/s3.ts';
import type { Destination } from '../../src/core/destination.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { openCommandBox, type CommandBox } from './command-box.ts';
import { putCopy } from './copies.ts';
import { startPostgres, type Postgres } from './postgres.ts';
import { docker } from './run-process.ts';
import {
  bucketSettings,
  startMinio,
  startMoto,
  type BucketOptions,
  type S3Server,
} from './s3-server.ts';

/** A host with backups, a store that has copies of them, and how a host with nothing gets at these. */
export interface BucketStage extends AsyncDisposable {
  readonly server: Postgres;
  readonly store: S3Server;
  readonly client: S3Client;
  /** The host that made the backups. */
  readonly origin: CommandBox;
  /** A new backup of the source `orders`. @param env more settings for that run */
  backUp(env?: Readonly<Record<string, string>>): Promise<Manifest>;
  /** A bucket, and the variables by which backupd reaches it from a container. */
  bucket(options?: BucketOptions): Promise<StageBucket>;
  /** A host with nothing. */
  emptyHost(settings: Readonly<Record<string, string>>): Promise<CommandBox>;
}

export interface StageBucket {
  readonly name: string;
  /** As the host of the tests reaches it. */
  readonly destination: Destination;
  readonly env: Readonly<Record<string, string>>;
  put(manifest: Manifest): Promise<void>;
}

/** What the backups hold, apart from what a test adds. */
export const ORDERS = 'select count(*), md5(string_agg(what, null order by id)) from orders';

export async function openBucketStage(
  kind: 'minio' | 'moto' = 'minio',
  rows = 1000,
): Promise<BucketStage> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startPostgres());
  await server.sql(
    `create table orders as select n as id, md5(n::text) || md5((n + 1)::text) as what from generate_series(1, ${rows}) as n`,
  );
  const store = stack.use(await (kind === 'minio' ? startMinio() : startMoto()));
  const origin = stack.use(
    await openCommandBox({
      BACKUPD_NAMESPACE: 'shop',
      BACKUPD_SOURCES: `orders=postgres://${server.name}/shop`,
    }),
  );
  const address = await docker(
    'inspect',
    '--format',
    '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}',
    store.container.name,
  );
  const port = kind === 'minio' ? 9000 : 5000;
  const kept = stack.move();
  return {
    server,
    store,
    client: store.client,
    origin,
    async backUp(env = {}) {
      const { stdout } = await origin.backupd(['backup', 'orders', '--json'], { env });
      const { runs } = JSON.parse(stdout) as { runs: readonly { id: string }[] };
      return origin.json<Manifest>(['show', runs[0]?.id ?? '']);
    },
    async bucket(options = {}) {
      const name = await store.createBucket(options);
      const settings = bucketSettings({
        bucket: name,
        endpoint: store.endpoint,
        prefix: 'offsite',
      });
      const destination = bucketDestination(settings, settings.place);
      const { credentials } = settings.place;
      return {
        name,
        destination,
        env: {
          BACKUPD_S3_BUCKET: name,
          BACKUPD_S3_PREFIX: 'offsite',
          BACKUPD_S3_ENDPOINT: `http://${address}:${port}`,
          BACKUPD_S3_ACCESS_KEY_ID: credentials?.accessKeyId ?? '',
          BACKUPD_S3_SECRET_ACCESS_KEY: credentials?.secretAccessKey.reveal() ?? '',
        },
        put: (manifest) => putCopy(destination, origin.dir, manifest),
      };
    },
    emptyHost: (settings) => openCommandBox(settings),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
