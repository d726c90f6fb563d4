import { PutObjectCommand } from '@aws-sdk/client-s3';
import { fileKey } from '../../src/core/remote-keys.ts';
import type { OffSiteStage } from './off-site-stage.ts';
import { paperTar } from './paper-tar.ts';
import { backupId, sampleManifest } from './storage.ts';

/** An archive and a manifest each. MinIO says of a full page that there is more, even of the last one. */
export function pagesOf(copies: number): number {
  return Math.floor((2 * copies) / 1000) + 1;
}

/** Puts so many copies of backups in one request: MinIO takes an archive apart into objects. */
export async function putCopies({ client, bucket }: OffSiteStage, copies: number): Promise<void> {
  const members = Array.from({ length: copies }, (_, number) => {
    const manifest = sampleManifest({ id: backupId(number) });
    return [
      { path: fileKey(manifest, 'shop.dump.zst'), content: Buffer.from('archive') },
      { path: fileKey(manifest, 'manifest.json'), content: Buffer.from(JSON.stringify(manifest)) },
    ];
  }).flat();
  await client.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: 'copies.tar',
      Body: paperTar(...members),
      Metadata: { 'snowball-auto-extract': 'true', 'minio-snowball-ignore-dirs': 'true' },
    }),
  );
}

/** What a command asked of the store. */
export interface Asked {
  /** What it printed. */
  readonly printed: readonly unknown[];
  readonly pages: number;
  /** The keys of what was fetched, with the bucket. */
  readonly fetched: readonly string[];
  /** How many of them at most at one time. */
  readonly atOnce: number;
}

/** Runs a command that prints a list, and counts what it asks of the store. */
export async function countRequests(
  { box, proxy }: Pick<OffSiteStage, 'box' | 'proxy'>,
  args: readonly string[],
): Promise<Asked> {
  proxy.forget();
  const printed = await box.json<readonly unknown[]>(args);
  const gets = proxy.seen.filter(({ operation }) => operation === 'GetObject');
  return {
    printed,
    pages: proxy.seen.filter(({ operation }) => operation === 'ListObjectsV2').length,
    fetched: gets.map(({ path }) => path),
    atOnce: Math.max(-1, ...gets.map(({ beside }) => beside)) + 1,
  };
}
