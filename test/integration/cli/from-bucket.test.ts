import {
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Manifest } from '../../../src/core/manifest.ts';
import { openBucketStage, ORDERS, type BucketStage } from '../../support/bucket-stage.ts';
import { containing, having } from '../../support/matchers.ts';
import { startPostgres } from '../../support/postgres.ts';
import type { BucketOptions } from '../../support/s3-server.ts';

let stage: BucketStage;
let manifest: Manifest;
let before: string;

beforeAll(async () => {
  // More than two ranges are to be fetched: they are 16 MiB each.
  stage = await openBucketStage('minio', 1_000_000);
  before = await stage.server.sql(ORDERS);
  manifest = await stage.backUp();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

function keyOf({ namespace, source, id }: Manifest, name: string): string {
  return `offsite/${namespace}/${source}/${id}/${name}`;
}

const ARCHIVE = 'shop.dump.zst';

test('an empty host restores with nothing but the bucket', async () => {
  const bucket = await stage.bucket();
  await bucket.put(manifest);
  await using empty = await startPostgres();
  await using host = await stage.emptyHost(bucket.env);
  // Readers find the namespace too, and record nothing.
  expect(await host.json(['show', manifest.id])).toMatchObject({ namespace: 'shop' });
  expect(await host.json(['list', '--from', 's3'])).toEqual([
    having({ id: manifest.id, copies: [having({ destination: 's3' })] }),
  ]);
  // What only reads leaves nothing that says whose backups these are.
  expect(await readdir(join(host.dir, '.backupd'))).toEqual(['remote']);
  const plan = await host.json([
    'restore',
    'orders',
    '--from',
    's3',
    '--into',
    empty.name,
    '--dry-run',
  ]);
  expect(plan).toMatchObject({ id: manifest.id, fetch: { destination: 's3' } });
  const restored = await host.backupd(['restore', 'orders', '--from', 's3', '--into', empty.name]);
  expect(restored.exitCode, restored.stdout + restored.stderr).toBe(0);
  expect(await empty.sql(ORDERS)).toBe(before);
  expect(await readFile(join(host.dir, '.backupd/namespace'), 'utf8')).toBe('shop\n');
  // It is a backup here now, and an ordinary one.
  expect(await host.json(['list'])).toEqual([
    having({ id: manifest.id, verifiedAt: containing('T') }),
  ]);
  expect(await host.json(['verify', manifest.id])).toEqual([
    having({ ok: true, depth: 'content' }),
  ]);
});

test('a restore that is killed while it fetches goes on where it was', async () => {
  const bucket = await stage.bucket();
  await bucket.put(manifest);
  await using empty = await startPostgres();
  await using host = await stage.emptyHost(bucket.env);
  const restore = ['restore', 'orders', '--from', 's3', '--into', empty.name];
  for (const step of [
    'range-fetched',
    'range-fetched:2',
    'file-fetched:2',
    'manifest-written',
    'download-committed',
  ]) {
    const died = await host.backupd(restore, { killAt: step });
    expect(died.exitCode, step).toBe(137);
    expect(await readFile(join(host.dir, '.killed-at'), 'utf8')).toBe(step.split(':')[0]);
  }
  const records = await readdir(join(host.dir, '.backupd'), { recursive: true });
  const restored = await host.backupd(restore);
  expect(restored.exitCode, restored.stdout + restored.stderr + records.join()).toBe(0);
  expect(await empty.sql(ORDERS)).toBe(before);
});

test('of several namespaces one is asked for', async () => {
  const bucket = await stage.bucket();
  await bucket.put(manifest);
  const other = { ...manifest, namespace: 'crm' };
  await stage.client.send(
    new PutObjectCommand({ Bucket: bucket.name, Key: keyOf(other, 'manifest.json'), Body: '{}' }),
  );
  await using host = await stage.emptyHost(bucket.env);
  const refused = await host.backupd(['list', '--from', 's3', '--json']);
  expect(refused).toMatchObject({ exitCode: 3, stdout: '' });
  expect(JSON.parse(refused.stderr)).toEqual({
    error: having({ code: 'config-invalid', message: containing('2 namespaces: crm, shop') }),
  });
  const named = await host.backupd(['list', '--from', 's3', '--json'], {
    env: { BACKUPD_NAMESPACE: 'shop' },
  });
  expect(JSON.parse(named.stdout)).toEqual([having({ id: manifest.id })]);
});

describe('what is wrong with a store is told', () => {
  test('keys that are none, a bucket that is none, and a bucket with nothing', async () => {
    const bucket = await stage.bucket();
    await using host = await stage.emptyHost(bucket.env);
    const restore = ['restore', 'orders', '--from', 's3', '--json'];
    const wrong = await host.backupd(restore, { env: { BACKUPD_S3_SECRET_ACCESS_KEY: 'wrong' } });
    expect(wrong).toMatchObject({ exitCode: 31, stdout: '' });
    expect(wrong.stderr).not.toContain('backupd-test-secret');
    const missing = await host.backupd(restore, { env: { BACKUPD_S3_BUCKET: 'no-such-bucket' } });
    expect(missing).toMatchObject({ exitCode: 30, stdout: '' });
    expect(missing.stderr).toContain('no-such-bucket');
    const nobody = await host.backupd(restore, {
      env: { BACKUPD_S3_ENDPOINT: 'http://127.0.0.1:1' },
    });
    expect(nobody).toMatchObject({ exitCode: 30, stdout: '' });
    const nothing = await host.backupd(restore);
    expect(nothing).toMatchObject({ exitCode: 10, stdout: '' });
    // None of these made the directory somebody's.
    expect(await readdir(host.dir)).not.toContain('orders');
    const unconfigured = await host.backupd(['list', '--from', 'nas', '--json']);
    expect(unconfigured).toMatchObject({ exitCode: 2 });
  });

  test('one byte that is altered in an object whose metadata are right', async () => {
    const bucket = await stage.bucket();
    await bucket.put(manifest);
    const bytes = await readFile(join(stage.origin.dir, 'orders', manifest.id, ARCHIVE));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    const sha256 = manifest.files.find(({ name }) => name === ARCHIVE)?.sha256 ?? '';
    await put(bucket.name, { Key: keyOf(manifest, ARCHIVE), Body: bytes, Metadata: { sha256 } });
    await using host = await stage.emptyHost(bucket.env);
    const verified = await host.backupd(['verify', '--from', 's3', '--json']);
    expect(verified.exitCode).toBe(13);
    expect(JSON.parse(verified.stdout)).toEqual([
      having({ id: manifest.id, ok: false, error: having({ code: 'archive-corrupt' }) }),
    ]);
    await using empty = await startPostgres();
    const restored = await host.backupd([
      'restore',
      '--from',
      's3',
      '--into',
      empty.name,
      '--json',
    ]);
    expect(restored).toMatchObject({ exitCode: 13, stdout: '' });
    expect(await empty.sql(`select to_regclass('orders') is null`)).toBe('t');
    expect(await host.json(['list'])).toEqual([]);
  });

  test('an object that is missing, and a manifest that is', async () => {
    const bucket = await stage.bucket();
    await bucket.put(manifest);
    await using host = await stage.emptyHost(bucket.env);
    expect(await host.json(['verify', '--from', 's3'])).toEqual([
      having({ ok: true, depth: 'content' }),
    ]);
    // Nothing of it was kept.
    expect(await readdir(host.dir)).toEqual(['.backupd']);
    await remove(bucket.name, keyOf(manifest, ARCHIVE));
    const listed = await host.backupd(['list', '--from', 's3']);
    expect(listed).toMatchObject({ exitCode: 0, stdout: '' });
    expect(listed.stderr).toContain(`${manifest.id} is no backup: its ${ARCHIVE} is missing there`);
    expect(await host.backupd(['verify', '--from', 's3', '--json'])).toMatchObject({
      exitCode: 13,
    });
    await remove(bucket.name, keyOf(manifest, 'manifest.json'));
    expect(await host.json(['list', '--from', 's3'])).toEqual([]);
    expect(await host.json(['verify', '--from', 's3'])).toEqual([]);
  });
});

test('what is damaged or gone here is taken from the bucket, and that is said', async () => {
  const bucket = await stage.bucket();
  await bucket.put(manifest);
  await using empty = await startPostgres();
  await using host = await stage.emptyHost({ ...bucket.env, BACKUPD_NAMESPACE: 'shop' });
  // Gone: cat and show read it from there.
  expect(await host.json(['show', manifest.id])).toMatchObject({ id: manifest.id, facts: {} });
  const cat = await host.backupd(['cat', manifest.id, 'globals.sql.zst']);
  expect(cat).toMatchObject({ exitCode: 0, stderr: '' });
  expect(cat.stdout).toContain('-- backupd: complete');
  const gone = await host.backupd(['restore', 'orders', '--into', empty.name]);
  expect(gone.exitCode, gone.stderr).toBe(0);
  expect(gone.stdout).toContain(`the copy of ${manifest.id} at s3 is taken`);
  // Damaged in a way that only reading tells.
  const path = join(host.dir, 'orders', manifest.id, ARCHIVE);
  const bytes = await readFile(path);
  bytes[1000] = (bytes[1000] ?? 0) ^ 1;
  await writeFile(path, bytes);
  const damaged = await host.backupd(['restore', 'orders', '--into', empty.name]);
  expect(damaged.exitCode, damaged.stderr).toBe(0);
  expect(damaged.stderr).toContain(`backup ${manifest.id} is damaged here`);
  expect(await empty.sql(ORDERS)).toBe(before);
  expect(await host.json(['verify', manifest.id])).toEqual([having({ ok: true })]);
});

describe("what somebody does with the host's own keys in a bucket that locks", () => {
  /** Overwrites, hides and removes whatever is there, and moves the end of locks. @returns what the store let be removed */
  async function ruin(Bucket: string): Promise<readonly string[]> {
    const { Versions = [] } = await stage.client.send(new ListObjectVersionsCommand({ Bucket }));
    const removed: string[] = [];
    for (const { Key = '', VersionId } of Versions) {
      const object = { Bucket, Key, VersionId };
      const Retention = {
        Mode: 'COMPLIANCE',
        RetainUntilDate: new Date(Date.now() + 1000),
      } as const;
      const ends = [
        new PutObjectRetentionCommand({ ...object, Retention, ChecksumAlgorithm: 'CRC32' }),
        new DeleteObjectCommand(object),
      ] as const;
      await stage.client.send(ends[0]).catch(() => null);
      await stage.client.send(ends[1]).then(
        () => removed.push(Key),
        () => null,
      );
      await put(Bucket, { Key, Body: 'ruined' });
      await remove(Bucket, Key);
    }
    return removed;
  }

  test.each<[string, BucketOptions, Readonly<Record<string, string>>]>([
    ['by itself', { lock: { days: 1 } }, {}],
    ['what we say', { lock: { days: null } }, { BACKUPD_S3_OBJECT_LOCK: 'compliance:1d' }],
  ])('%s: an empty host restores all the same', async (_name, options, lockSettings) => {
    const bucket = await stage.bucket(options);
    const env = { ...bucket.env, ...lockSettings, BACKUPD_S3_KEEP: 'last=1' };
    const sent = await stage.origin.backupd(['upload', '--json'], { env });
    expect(sent.exitCode, sent.stdout + sent.stderr).toBe(0);
    expect(await ruin(bucket.name)).toEqual([]);
    await using empty = await startPostgres();
    await using host = await stage.emptyHost(bucket.env);
    const listed = await host.backupd(['list', '--from', 's3']);
    expect(listed.stdout).toContain(manifest.id);
    expect(listed.stderr).toContain('deleted or overwritten');
    const restore = ['restore', 'orders', '--from', 's3', '--into', empty.name];
    const restored = await host.backupd(restore);
    expect(restored.exitCode, restored.stdout + restored.stderr).toBe(0);
    expect(await empty.sql(ORDERS)).toBe(before);
  });
});

async function put(
  Bucket: string,
  what: Pick<PutObjectCommandInput, 'Key' | 'Body' | 'Metadata'>,
): Promise<void> {
  // A bucket with locks takes nothing without a checksum.
  await stage.client.send(new PutObjectCommand({ Bucket, ChecksumAlgorithm: 'CRC32', ...what }));
}

async function remove(Bucket: string, Key: string): Promise<void> {
  await stage.client.send(new DeleteObjectCommand({ Bucket, Key }));
}
