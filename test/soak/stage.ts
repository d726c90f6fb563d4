import { createServer } from 'node:net';
import { once } from 'node:events';
import { backupdImage } from '../support/backupd.ts';
import { startIdleContainer } from '../support/idle-container.ts';
import { s3Proxy, type S3Proxy } from '../support/s3-proxy.ts';
import { bucketSettings, startMinio } from '../support/s3-server.ts';
import {
  smallVolume,
  startContainer,
  type ContainerOptions,
  type TestContainer,
} from '../support/test-container.ts';
import { mariadbTarget, postgresTarget, volumeTarget, type Target } from './targets.ts';

/** The sources, a bucket behind a proxy, a small disk, and the daemon. */
export interface SoakStage extends AsyncDisposable {
  readonly targets: readonly Target[];
  readonly proxy: S3Proxy;
  readonly daemon: TestContainer;
  /** Where its metrics are. */
  readonly metricsUrl: string;
  /** Keeps the disk of the backups while the daemon is dead; has it at `/backups`. */
  readonly disk: TestContainer;
  /** A container of backupd on the same disk, for commands alone. */
  openBox(): Promise<TestContainer>;
}

const DISK_BYTES = 256 * 1024 * 1024;
/** What there is, and how much of it. */
const KINDS = [
  { start: postgresTarget, stem: 'pga', share: 10 / 30 },
  { start: postgresTarget, stem: 'pgb', share: 6 / 30 },
  { start: mariadbTarget, stem: 'maria', share: 6 / 30 },
  { start: volumeTarget, stem: 'vol', share: 8 / 30 },
];
/** How many backups of each source are kept, here and in the bucket. */
const KEEP = 'last=4';

export interface SoakOptions {
  /** How many there are, of all kinds. */
  readonly sources: number;
  /** From one run of a source to its next one; each source has a second of its own. */
  readonly everySeconds: number;
}

export async function setSoakStage({ sources, everySeconds }: SoakOptions): Promise<SoakStage> {
  await using stack = new AsyncDisposableStack();
  const targets: Target[] = [];
  for (const { start, stem, share } of KINDS) {
    targets.push(stack.use(await start(stem, Math.max(1, Math.round(sources * share)))));
  }
  const minio = stack.use(await startMinio());
  const proxy = stack.use(await s3Proxy(minio.endpoint));
  const backups = stack.use(await smallVolume(DISK_BYTES));
  const disk = stack.use(await startIdleContainer({ volumes: [`${backups.name}:/backups`] }));
  const port = await freePort();
  const options: ContainerOptions = {
    image: await backupdImage(),
    // The proxy listens on this host alone.
    network: 'host',
    volumes: ['/var/run/docker.sock:/var/run/docker.sock', `${backups.name}:/backups`],
    more: ['--no-healthcheck'],
    env: {
      ...scheduleEnv(targets, everySeconds),
      ...bucketEnv(await minio.createBucket(), proxy.endpoint),
      BACKUPD_DISCOVER: 'off',
      BACKUPD_NAMESPACE: 'soak',
      BACKUPD_KEEP: KEEP,
      BACKUPD_CONCURRENCY: '2',
      BACKUPD_HTTP_PORT: String(port),
      BACKUPD_LOG_FORMAT: 'json',
    },
  };
  const daemon = stack.use(await startContainer(options));
  const kept = stack.move();
  return {
    targets,
    proxy,
    daemon,
    metricsUrl: `http://127.0.0.1:${port}/metrics`,
    disk,
    async openBox() {
      const box = { ...options, entrypoint: 'tini', args: ['--', 'sleep', 'infinity'] };
      return kept.use(await startContainer(box));
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function scheduleEnv(
  targets: readonly Target[],
  everySeconds: number,
): Readonly<Record<string, string>> {
  const sources = targets.flatMap((target) => target.sources);
  const schedules = sources.map(({ name }, index) => {
    const offset = Math.floor((index * everySeconds) / sources.length);
    const pattern = `${offset % 60} ${Math.floor(offset / 60)}-59/${everySeconds / 60} * * * *`;
    return [`BACKUPD_SOURCE_${name.toUpperCase()}_SCHEDULE`, pattern];
  });
  return {
    ...(Object.fromEntries(schedules) as Record<string, string>),
    BACKUPD_SOURCES: sources.map(({ name, url }) => `${name}=${url}`).join(' '),
    BACKUPD_UPLOAD_SCHEDULE: '*/20 * * * * *',
  };
}

function bucketEnv(bucket: string, endpoint: string): Readonly<Record<string, string>> {
  const { credentials } = bucketSettings({ bucket, endpoint }).place;
  return {
    BACKUPD_S3_BUCKET: bucket,
    BACKUPD_S3_ENDPOINT: endpoint,
    BACKUPD_S3_ACCESS_KEY_ID: credentials?.accessKeyId ?? '',
    BACKUPD_S3_SECRET_ACCESS_KEY: credentials?.secretAccessKey.reveal() ?? '',
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) {
    throw new Error('no port is free');
  }
  return address.port;
}
