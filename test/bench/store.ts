import { DeleteObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { createHash, randomFillSync } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../../src/core/manifest.ts';
import { openCatalog } from '../../src/store/catalog.ts';
import { openCommandBox, type CommandBox } from '../support/command-box.ts';
import { startPostgres } from '../support/postgres.ts';
import { bucketSettings, startMinio, type S3Server } from '../support/s3-server.ts';
import { backupId, SAMPLE_ARCHIVE, sampleManifest, temporaryFolder } from '../support/storage.ts';
import type { TestContainer } from '../support/test-container.ts';
import { PEAK_VOLUME } from './stage.ts';
import { startTools } from './tools.ts';

/** MinIO; on its loopback backupd, with a backup whose archive is one large file of random bytes, and the tools of the peers. */
export interface StoreStage extends AsyncDisposable {
  readonly server: S3Server;
  /** Has the source `db` of that backup. */
  readonly box: CommandBox;
  readonly tools: TestContainer;
  /** A folder of the host on the disk of the backups, in both at `/by-hand`. */
  readonly byHand: string;
  readonly manifest: Manifest;
  readonly archiveBytes: number;
  /** In both. */
  readonly archivePath: string;
}

/** MinIO's address on its loopback. */
const ENDPOINT = 'http://127.0.0.1:9000';
const MODULES = join(import.meta.dirname, '../../node_modules');
const MIB = 1024 * 1024;

/** @param scale 1: an archive of 1 GiB */
export async function setStoreStage(scale: number): Promise<StoreStage> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startMinio({ tmpfs: { '/data': 'size=4g' } }));
  const postgres = stack.use(await startPostgres());
  const { dir: byHand } = stack.use(await temporaryFolder());
  const network = `container:${server.container.name}`;
  const shared = `${byHand}:/by-hand`;
  const peer = `${join(import.meta.dirname, 'lib-storage.ts')}:/bench/lib-storage.ts:ro`;
  const mounts = [shared, PEAK_VOLUME, peer, `${MODULES}:/bench/node_modules:ro`];
  const box = stack.use(
    await openCommandBox(
      {
        BACKUPD_NAMESPACE: 'demo',
        BACKUPD_KEEP: 'all',
        BACKUPD_SOURCES: `db=postgres://${postgres.name}/shop`,
        ...storeVariables(),
      },
      ['--network', network, ...mounts.flatMap((mount) => ['--volume', mount])],
    ),
  );
  const tools = stack.use(
    await startTools({
      network,
      volumes: [`${box.dir}:/backups:ro`, shared],
      env: storeVariables(),
    }),
  );
  const archiveBytes = Math.round(1024 * scale) * MIB;
  const manifest = await addBackup(box.dir, archiveBytes);
  const kept = stack.move();
  return {
    server,
    box,
    tools,
    byHand,
    manifest,
    archiveBytes,
    archivePath: `/backups/db/${manifest.id}/${manifest.files[0]?.name ?? ''}`,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** How everybody reaches the store: what AWS's own tools, and backupd with them, look at, and rclone's words for it. */
function storeVariables(): Readonly<Record<string, string>> {
  const { credentials } = bucketSettings({ bucket: '', endpoint: ENDPOINT }).place;
  return {
    AWS_ACCESS_KEY_ID: credentials?.accessKeyId ?? '',
    AWS_SECRET_ACCESS_KEY: credentials?.secretAccessKey.reveal() ?? '',
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL: ENDPOINT,
    RCLONE_S3_PROVIDER: 'Minio',
    RCLONE_S3_ENV_AUTH: 'true',
    RCLONE_S3_ENDPOINT: ENDPOINT,
  };
}

async function addBackup(dir: string, bytes: number): Promise<Manifest> {
  const catalog = openCatalog({ dir, namespace: 'demo' });
  const id = backupId(0);
  await using draft = await catalog.draft('db', id);
  const hash = createHash('sha256');
  const piece = Buffer.alloc(MIB);
  await using file = await open(draft.path(SAMPLE_ARCHIVE.name), 'wx', 0o600);
  for (let done = 0; done < bytes; done += piece.length) {
    randomFillSync(piece);
    hash.update(piece);
    await file.writeFile(piece);
  }
  const archive = { ...SAMPLE_ARCHIVE, storedBytes: bytes, sha256: hash.digest('hex') };
  const manifest = sampleManifest({ id, files: [archive] });
  await draft.commit(manifest);
  return manifest;
}

/** The variables of a destination in a bucket there. */
export function destinationVariables(
  name: string,
  bucket: string,
): Readonly<Record<string, string>> {
  const prefix = `BACKUPD_DEST_${name.toUpperCase()}`;
  return {
    BACKUPD_DESTINATIONS: name,
    [`${prefix}_BUCKET`]: bucket,
    [`${prefix}_ENDPOINT`]: ENDPOINT,
  };
}

/** As options of `docker exec`. */
export function asOptions(variables: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
}

/** Removes all that is in a bucket. @returns its bytes */
export async function emptyBucket(
  { client, container }: S3Server,
  Bucket: string,
): Promise<number> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
  for (const { Key } of Contents) {
    await client.send(new DeleteObjectCommand({ Bucket, Key }));
  }
  // MinIO keeps what was removed for some minutes more, and its disk is small.
  await container.exec(['sh', '-c', 'rm -rf /data/.minio.sys/tmp/.trash/*']);
  return Contents.reduce((sum, { Size = 0 }) => sum + Size, 0);
}
