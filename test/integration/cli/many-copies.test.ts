import { PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { fileKey } from '../../../src/core/remote-keys.ts';
import { openStore, type OffSiteStage, type Store } from '../../support/off-site-stage.ts';
import { paperTar } from '../../support/paper-tar.ts';
import { backupId, sampleManifest } from '../../support/storage.ts';

const COPIES = 10_000;
/** An archive and a manifest each. */
const PAGES = (2 * COPIES) / 1000;

test(`${COPIES} copies: a list for each thousand objects, each manifest fetched once ever, 32 at a time`, async () => {
  await using store = await openStore();
  await using stage = await store.stage({ env: { BACKUPD_KEEP: 'daily=7' } });
  await putCopies(stage);
  const listed = await requestsOf(store, () =>
    stage.box.json<readonly unknown[]>(['list', '--from', 's3']),
  );
  expect(listed.result).toHaveLength(COPIES);
  expect(listed.pages).toBe(PAGES);
  expect(listed.manifests).toHaveLength(COPIES);
  expect(new Set(listed.manifests).size).toBe(COPIES);
  expect(listed.atOnce).toBe(32);

  const decided = await requestsOf(store, () =>
    stage.box.json<readonly { readonly keep: boolean }[]>(['prune', '--dry-run']),
  );
  expect(decided.result).toHaveLength(COPIES);
  expect(decided.result.filter(({ keep }) => keep)).toHaveLength(7);
  expect(decided.pages).toBe(PAGES);
  expect(decided.manifests).toEqual([]);
}, 300_000);

/** What a command asked of the store. */
async function requestsOf<T>(
  { proxy }: Pick<Store, 'proxy'>,
  command: () => Promise<T>,
): Promise<{
  readonly result: T;
  readonly pages: number;
  readonly manifests: readonly string[];
  readonly atOnce: number;
}> {
  proxy.forget();
  const result = await command();
  const gets = proxy.seen.filter(({ operation }) => operation === 'GetObject');
  return {
    result,
    pages: proxy.seen.filter(({ operation }) => operation === 'ListObjectsV2').length,
    manifests: gets.map(({ path }) => path),
    atOnce: Math.max(0, ...gets.map(({ beside }) => beside)) + 1,
  };
}

/** All of them in one request: MinIO takes an archive apart into objects. */
async function putCopies({ client, bucket }: OffSiteStage): Promise<void> {
  const members = Array.from({ length: COPIES }, (_, number) => {
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
