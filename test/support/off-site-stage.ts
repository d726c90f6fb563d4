import { S3Client } from '@aws-sdk/client-s3';
import { createHash, randomFillSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { Destination } from '../../src/core/destination.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { bucketDestination } from '../../src/destinations/s3/s3.ts';
import { openCatalog, type Catalog } from '../../src/store/catalog.ts';
import { openCommandBox, type CommandBox } from './command-box.ts';
import { s3Proxy, type S3Proxy } from './s3-proxy.ts';
import { bucketSettings, startMinio, STORE_KEYS, type BucketOptions } from './s3-server.ts';
import { backupId, SAMPLE_ARCHIVE, sampleManifest } from './storage.ts';

/** A host of backupd with backups of no database, and a bucket of MinIO behind a proxy. */
export interface OffSiteStage extends AsyncDisposable {
  readonly box: CommandBox;
  readonly catalog: Catalog;
  readonly proxy: S3Proxy;
  readonly client: S3Client;
  readonly bucket: string;
  /** As the tests reach it. */
  readonly destination: Destination;
  /** The variables by which backupd reaches it. */
  readonly env: Readonly<Record<string, string>>;
  /** A backup of this hour of 2026, of random bytes. */
  add(hour: number, bytes?: number): Promise<Manifest>;
  /** The keys that are in the bucket. */
  keys(): Promise<readonly string[]>;
}

export interface OffSiteOptions {
  readonly bucket?: BucketOptions;
  readonly env?: Readonly<Record<string, string>>;
  /** The file that has the secret key. Default: it is in a variable. */
  readonly keyFile?: string;
}

/** MinIO and its proxy, for several stages. */
export interface Store extends AsyncDisposable {
  readonly proxy: S3Proxy;
  stage(options?: OffSiteOptions): Promise<OffSiteStage>;
  /** Another host with the same bucket. */
  host(env: Readonly<Record<string, string>>): Promise<CommandBox>;
}

/** Another disk than that of the backups. */
const SECOND_DISK = ['--tmpfs', '/mnt/nas:size=200m,mode=1777'];

export async function openStore(): Promise<Store> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startMinio());
  const proxy = stack.use(await s3Proxy(server.endpoint));
  const kept = stack.move();

  async function host(env: Readonly<Record<string, string>>): Promise<CommandBox> {
    return openCommandBox({ BACKUPD_NAMESPACE: 'demo', BACKUPD_KEEP: 'all', ...env }, [
      '--network',
      'host',
      ...SECOND_DISK,
    ]);
  }

  return {
    proxy,
    host,
    async stage({ bucket: wanted, env: more = {}, keyFile } = {}) {
      const bucket = await server.createBucket(wanted);
      const settings = bucketSettings({ bucket, endpoint: server.endpoint, prefix: '' });
      const destination = bucketDestination(settings, settings.place);
      const env = {
        BACKUPD_S3_BUCKET: bucket,
        BACKUPD_S3_ENDPOINT: proxy.endpoint,
        BACKUPD_S3_ACCESS_KEY_ID: STORE_KEYS.accessKeyId,
        ...(keyFile === undefined
          ? { BACKUPD_S3_SECRET_ACCESS_KEY: STORE_KEYS.secretAccessKey }
          : { BACKUPD_S3_SECRET_ACCESS_KEY_FILE: keyFile }),
        ...more,
      };
      const box = await host(env);
      const catalog = openCatalog({ dir: box.dir, namespace: 'demo' });
      return {
        box,
        catalog,
        proxy,
        client: server.client,
        bucket,
        destination,
        env,
        add: (hour, bytes = 1000) => addBackup(catalog, hour, bytes),
        async keys() {
          const listed = destination.list('', AbortSignal.timeout(30_000));
          return (await Array.fromAsync(listed)).map(({ key }) => key).toSorted();
        },
        [Symbol.asyncDispose]: () => box[Symbol.asyncDispose](),
      };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function addBackup(catalog: Catalog, hour: number, bytes: number): Promise<Manifest> {
  const id = backupId(hour);
  const content = randomFillSync(Buffer.alloc(bytes));
  const sha256 = createHash('sha256').update(content).digest('hex');
  const file = { ...SAMPLE_ARCHIVE, storedBytes: bytes, sha256 };
  // Done just now: a daemon reads back what is older, and such bytes are no dump.
  const finishedAt = new Date().toISOString();
  const manifest = sampleManifest({ id, files: [file], finishedAt });
  await using draft = await catalog.draft('db', id);
  await writeFile(draft.path(file.name), content, { mode: 0o600 });
  await draft.commit(manifest);
  return manifest;
}
