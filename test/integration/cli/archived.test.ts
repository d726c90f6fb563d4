import { CopyObjectCommand, type StorageClass } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../../../src/core/manifest.ts';
import {
  openBucketStage,
  ORDERS,
  type BucketStage,
  type StageBucket,
} from '../../support/bucket-stage.ts';
import { containing, having } from '../../support/matchers.ts';
import { startPostgres } from '../../support/postgres.ts';

let stage: BucketStage;
let manifest: Manifest;

beforeAll(async () => {
  stage = await openBucketStage('moto');
  manifest = await stage.backUp();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** A bucket with a copy whose archives a rule has moved to this class. */
async function bucketIn(storageClass: StorageClass): Promise<StageBucket> {
  const bucket = await stage.bucket();
  await bucket.put(manifest);
  for (const { name } of manifest.files) {
    const Key = `offsite/shop/orders/${manifest.id}/${name}`;
    await stage.client.send(
      new CopyObjectCommand({
        Bucket: bucket.name,
        Key,
        CopySource: `${bucket.name}/${Key}`,
        StorageClass: storageClass,
      }),
    );
  }
  return bucket;
}

/** How often the store is looked at, or told to go on, until what was asked for is there. */
async function returnAfter(looks: number): Promise<void> {
  const answer = await fetch(`${stage.store.endpoint}/moto-api/state-manager/set-transition`, {
    method: 'POST',
    body: JSON.stringify({
      model_name: 's3::keyrestore',
      transition: { progression: 'manual', times: looks },
    }),
  });
  expect(answer.status).toBe(201);
}

test('archived files are asked back; running it again is no mistake, and in the end it restores', async () => {
  // Each run looks at each file once when it plans, and once when it begins.
  await returnAfter(5);
  const bucket = await bucketIn('GLACIER');
  await using empty = await startPostgres();
  await using host = await stage.emptyHost(bucket.env);
  const restore = ['restore', 'orders', '--from', 's3', '--into', empty.name, '--json'];
  const codes: (number | null)[] = [];
  const planned = await host.json<{ warnings: readonly unknown[] }>([
    ...restore.slice(0, -1),
    '--dry-run',
  ]);
  expect(planned.warnings).toEqual([
    having({ code: 'archived', message: containing('which takes 3 to 5 hours (standard)') }),
  ]);
  let last = '';
  for (let run = 0; run < 6 && codes.at(-1) !== 0; run += 1) {
    const { exitCode, stdout, stderr } = await host.backupd(restore);
    codes.push(exitCode);
    last = stdout;
    if (exitCode !== 0) {
      expect(JSON.parse(stderr)).toEqual({
        error: having({
          code: 'retrieval-pending',
          hint: containing('Run the same command again'),
        }),
      });
    }
  }
  expect(codes.slice(0, 2)).toEqual([32, 32]);
  expect(codes.at(-1)).toBe(0);
  expect(JSON.parse(last)).toMatchObject({ id: manifest.id });
  expect(await empty.sql(ORDERS)).toBe(await stage.server.sql(ORDERS));
});

test('with --wait it waits for them', async () => {
  await returnAfter(3);
  const bucket = await bucketIn('GLACIER');
  await using empty = await startPostgres();
  await using host = await stage.emptyHost(bucket.env);
  const restore = ['restore', '--from', 's3', '--into', empty.name, '--tier', 'expedited'];
  const { exitCode, stderr } = await host.backupd([...restore, '--wait', '2m']);
  expect(exitCode, stderr).toBe(0);
  expect(await empty.sql(ORDERS)).toBe(await stage.server.sql(ORDERS));
});

test('of a class that is read at once nothing is asked back', async () => {
  const bucket = await bucketIn('STANDARD_IA');
  await using host = await stage.emptyHost(bucket.env);
  const verified = await host.json(['verify', '--from', 's3']);
  expect(verified).toEqual([having({ ok: true, depth: 'content' })]);
});
