import {
  DeleteBucketLifecycleCommand,
  GetBucketLifecycleConfigurationCommand,
  HeadObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../../../src/core/manifest.ts';
import { openBucketStage, type BucketStage, type StageBucket } from '../../support/bucket-stage.ts';
import { containing, having } from '../../support/matchers.ts';

let stage: BucketStage;

beforeAll(async () => {
  stage = await openBucketStage('minio');
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** By which rule MinIO will delete an object; null: by none. */
async function ruleFor(bucket: StageBucket, { id }: Manifest, name: string): Promise<unknown> {
  const Key = `offsite/shop/orders/${id}/${name}`;
  const { Expiration = '' } = await stage.client.send(
    new HeadObjectCommand({ Bucket: bucket.name, Key }),
  );
  return /rule-id="([^"]+)"/.exec(Expiration)?.[1] ?? null;
}

const OBJECTS = ['manifest.json', 'shop.dump.zst', 'globals.sql.zst'];

test('the store is told to delete what retention gave up, and nothing else', async () => {
  const bucket = await stage.bucket();
  const env = { ...bucket.env, BACKUPD_S3_LIFECYCLE: 'expire:7d', BACKUPD_S3_KEEP: 'last=1' };
  const manifests: Manifest[] = [];
  for (let round = 0; round < 2; round += 1) {
    manifests.push(await stage.backUp());
    const sent = await stage.origin.backupd(['upload'], { env });
    expect(sent.exitCode, sent.stdout + sent.stderr).toBe(0);
  }
  const [old, kept] = manifests;
  if (old === undefined || kept === undefined) {
    throw new Error('there are two');
  }

  async function rules(manifest: Manifest): Promise<readonly unknown[]> {
    return Promise.all(OBJECTS.map((name) => ruleFor(bucket, manifest, name)));
  }

  const ours = expect.stringMatching(/^backupd-shop-\w+-expire$/) as unknown;
  expect(await rules(old)).toEqual([ours, ours, ours]);
  expect(await rules(kept)).toEqual([null, null, null]);

  // Who comes back has both, and can keep the one that was given up, whose backup is nowhere else.
  await using host = await stage.emptyHost(env);
  const listed = await host.json<{ id: string }[]>(['list', 'orders', '--from', 's3']);
  expect(listed.map(({ id }) => id)).toEqual([kept.id, old.id]);
  const refused = await host.backupd(['pin', old.id], { env: { BACKUPD_NAMESPACE: 'shop' } });
  expect([refused.exitCode, refused.stderr]).toEqual([11, containing('upload s3 --take-over')]);
  const take = await host.backupd(['upload', '--take-over'], {
    env: { BACKUPD_NAMESPACE: 'shop' },
  });
  expect(take.exitCode, take.stderr).toBe(0);
  const pinned = await host.backupd(['pin', old.id]);
  expect([pinned.exitCode, pinned.stdout]).toEqual([0, `pinned ${old.id} of orders at s3\n`]);
  expect(await rules(old)).toEqual([null, null, null]);
  expect(await host.json(['unpin', old.id])).toEqual(
    having({ id: old.id, pinned: false, destinations: ['s3'] }),
  );
  const verdicts = await host.json<{ id: string }[]>(['prune', '--dry-run']);
  expect(verdicts.find(({ id }) => id === old.id)).toEqual(
    having({
      where: 's3',
      keep: false,
      removed: false,
      reasons: ['nothing keeps it', containing('the store deletes it from 20')],
    }),
  );
  expect((await host.backupd(['prune'])).exitCode).toBe(0);
  expect(await rules(old)).toEqual([ours, ours, ours]);

  // Somebody removes the rules.
  await stage.client.send(new DeleteBucketLifecycleCommand({ Bucket: bucket.name }));
  const checked = await host.backupd(['check', '--json']);
  expect(JSON.parse(checked.stdout)).toMatchObject({
    checks: expect.arrayContaining([
      having({ name: 'lifecycle', ok: false, message: containing('is missing') }),
    ]) as unknown,
  });
  await host.backupd(['upload']);
  expect(await rules(old)).toEqual([ours, ours, ours]);
});

test('a class that the store does not have is a configuration error with its answer; the copy is made', async () => {
  const bucket = await stage.bucket();
  const [newest] = await stage.origin.json<{ id: string }[]>(['list']);
  const env = { ...bucket.env, BACKUPD_S3_LIFECYCLE: 'glacier:30d,expire:90d' };
  const sent = await stage.origin.backupd(['upload'], { env });
  expect([sent.exitCode, sent.stderr]).toEqual([3, containing('InvalidStorageClass')]);
  expect(sent.stderr).toContain('"Prefix":"offsite/shop/","Tags":[{"Key":"backupd"');
  expect(sent.stdout).toContain(`uploaded orders ${newest?.id} to s3`);
  const checked = await stage.origin.backupd(['check'], { env });
  expect([checked.exitCode, checked.stdout]).toEqual([4, containing('InvalidStorageClass')]);
  const { stdout } = await stage.origin.backupd(['status'], { env });
  expect(stdout).toContain('InvalidStorageClass');
  await expect(
    stage.client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket.name })),
  ).rejects.toMatchObject({ name: 'NoSuchLifecycleConfiguration' });
});
