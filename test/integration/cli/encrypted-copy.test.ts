import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../../../src/core/manifest.ts';
import { openBucketStage, ORDERS, type BucketStage } from '../../support/bucket-stage.ts';
import { having } from '../../support/matchers.ts';
import { startPostgres } from '../../support/postgres.ts';

let stage: BucketStage;
let manifest: Manifest;
let identity: string;

beforeAll(async () => {
  const { generateX25519Identity, identityToRecipient } = await import('age-encryption');
  identity = await generateX25519Identity();
  stage = await openBucketStage();
  manifest = await stage.backUp({ BACKUPD_AGE_RECIPIENTS: await identityToRecipient(identity) });
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test('an empty host needs the bucket and the secret key, and nothing else', async () => {
  const bucket = await stage.bucket();
  await bucket.put(manifest);
  await using empty = await startPostgres();
  await using host = await stage.emptyHost(bucket.env);
  const keys = { env: { BACKUPD_AGE_IDENTITY: identity } };
  const restore = ['restore', 'orders', '--from', 's3', '--into', empty.name, '--json'];
  expect(await host.backupd(restore)).toMatchObject({ exitCode: 15, stdout: '' });
  expect(await host.json(['verify', '--from', 's3'])).toEqual([
    having({ ok: true, depth: 'stored' }),
  ]);
  const verified = await host.backupd(['verify', '--from', 's3', '--json'], keys);
  expect(JSON.parse(verified.stdout)).toEqual([having({ ok: true, depth: 'content' })]);
  const cat = await host.backupd(['cat', manifest.id, 'globals.sql.zst.age'], {
    env: { ...keys.env, BACKUPD_NAMESPACE: 'shop' },
  });
  expect(cat.exitCode, cat.stderr).toBe(0);
  expect(cat.stdout).toContain('-- backupd: complete');
  const restored = await host.backupd(restore, keys);
  expect(restored.exitCode, restored.stderr).toBe(0);
  expect(await empty.sql(ORDERS)).toBe(await stage.server.sql(ORDERS));
});
