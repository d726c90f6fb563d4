import { afterAll, beforeAll, expect, test } from 'vitest';
import { bucketDestination } from '../../src/destinations/s3/s3.ts';
import type { BucketSettings } from '../../src/core/destination-settings.ts';
import type { Destination } from '../../src/core/destination.ts';
import { s3Proxy, type S3Proxy } from '../support/s3-proxy.ts';
import {
  bucketSettings,
  startMinio,
  startMoto,
  type BucketOptions,
  type S3Server,
} from '../support/s3-server.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/storage.ts';
import { CALM, fileOf, MIB, options, PART_BYTES } from '../support/uploads.ts';

const DAY_MS = 86_400_000;

interface Store {
  readonly server: S3Server;
  readonly proxy: S3Proxy;
}

let minio: Store;
let moto: Store;
let folder: TemporaryFolder;

beforeAll(async () => {
  [minio, moto] = await Promise.all([behindProxy(startMinio()), behindProxy(startMoto())]);
  folder = await temporaryFolder();
});
afterAll(async () => {
  for (const { server, proxy } of [minio, moto]) {
    await proxy[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  }
  await folder[Symbol.asyncDispose]();
});

async function behindProxy(starting: Promise<S3Server>): Promise<Store> {
  const server = await starting;
  return { server, proxy: await s3Proxy(server.endpoint) };
}

/** A destination in a new bucket. */
async function open(
  { server, proxy }: Store,
  made: BucketOptions,
  place: Partial<BucketSettings> = {},
): Promise<Destination> {
  const bucket = await server.createBucket(made);
  const settings = bucketSettings({ bucket, endpoint: proxy.endpoint, ...place });
  proxy.calm();
  proxy.forget();
  return bucketDestination(settings, settings.place);
}

/** Bodies that went to the store without a checksum, by what they were. */
function unchecked({ proxy }: Store): readonly string[] {
  return proxy.seen
    .filter(({ operation }) => operation === 'PutObject' || operation === 'UploadPart')
    .filter(({ headers }) => !/^[A-Za-z0-9+/]{6}==$/.test(headers['x-amz-checksum-crc32'] ?? ''))
    .map(({ operation, path }) => `${operation} ${path}`);
}

async function putAll(destination: Destination): Promise<void> {
  await destination.put('demo/owner.json', Buffer.from('mine'), { ifAbsent: true }, CALM);
  await destination.put('demo/db/manifest.json', Buffer.from('{}'), { ifAbsent: false }, CALM);
  const small = await fileOf(folder.dir, 1000);
  const large = await fileOf(folder.dir, PART_BYTES + MIB);
  await destination.putFile('demo/db/small', small, options(), CALM);
  await destination.putFile('demo/db/large', large, options(), CALM);
}

const LOCKS: readonly (readonly [string, () => Store])[] = [
  ['MinIO', () => minio],
  ['moto', () => moto],
];

test.each(LOCKS)('%s: everything carries a checksum where the bucket locks', async (_name, at) => {
  const destination = await open(at(), { lock: { days: 7 } });
  await putAll(destination);
  expect(unchecked(at())).toEqual([]);
  expect(await destination.inspect(CALM)).toMatchObject({
    locksObjects: true,
    keepsVersions: true,
    isOffsite: false,
  });
});

test.each(LOCKS)('%s: our own lock holds until the day', async (_name, at) => {
  const destination = await open(
    at(),
    { lock: { days: null } },
    { objectLock: { mode: 'COMPLIANCE', days: 3 } },
  );
  await putAll(destination);
  expect(unchecked(at())).toEqual([]);
  // moto does not lock what came in parts.
  const parts = at() === minio ? ['demo/db/large'] : [];
  for (const key of ['demo/owner.json', 'demo/db/manifest.json', 'demo/db/small', ...parts]) {
    const head = await destination.head(key, null, CALM);
    const until = Date.parse(head?.lockedUntil ?? '');
    expect(Math.abs(until - Date.now() - 3 * DAY_MS)).toBeLessThan(60_000);
    expect(await destination.remove(key, head?.versionId ?? null, CALM)).toEqual({
      outcome: 'locked',
      until: head?.lockedUntil,
    });
    expect(await destination.head(key, head?.versionId ?? null, CALM)).not.toBeNull();
  }
});

test.each(LOCKS)('%s: what is hidden or overwritten is there as a version', async (_name, at) => {
  const destination = await open(at(), { versioned: true });
  await destination.put('demo/a', Buffer.from('first'), { ifAbsent: false }, CALM);
  await destination.put('demo/a', Buffer.from('second'), { ifAbsent: false }, CALM);
  expect(await destination.remove('demo/a', null, CALM)).toEqual({ outcome: 'hidden' });
  expect(await destination.head('demo/a', null, CALM)).toBeNull();
  expect(await destination.get('demo/a', null, CALM)).toBeNull();
  const versions = await Array.fromAsync(destination.listVersions('demo/a', CALM));
  expect(versions.map(({ isLatest, isDeleteMarker }) => [isLatest, isDeleteMarker])).toEqual([
    [true, true],
    [false, false],
    [false, false],
  ]);
  const texts = versions
    .filter(({ isDeleteMarker }) => !isDeleteMarker)
    .map(async ({ key, versionId }) => String(await destination.get(key, versionId, CALM)));
  expect((await Promise.all(texts)).toSorted()).toEqual(['first', 'second']);
  const [marker] = versions;
  expect(await destination.head('demo/a', marker?.versionId ?? null, CALM)).toBeNull();
  // To remove the marker is to bring back what it hid.
  expect(await destination.remove('demo/a', marker?.versionId ?? null, CALM)).toEqual({
    outcome: 'removed',
  });
  expect(String(await destination.get('demo/a', null, CALM))).toBe('second');
});

test('a bucket without object lock cannot keep a lock', async () => {
  const destination = await open(minio, {}, { objectLock: { mode: 'GOVERNANCE', days: 3 } });
  await expect(
    destination.put('demo/a', Buffer.from('x'), { ifAbsent: false }, CALM),
  ).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining('does not lock objects') as string,
  });
});

test('nothing is locked by a clock that is wrong', async () => {
  const destination = await open(
    minio,
    { lock: { days: null } },
    { objectLock: { mode: 'GOVERNANCE', days: 3 } },
  );
  minio.proxy.setClockAhead(-20 * 60_000);
  await expect(
    destination.put('demo/a', Buffer.from('x'), { ifAbsent: false }, CALM),
  ).rejects.toMatchObject({
    code: 'destination-unavailable',
    message: expect.stringMatching(/the clocks are (?:19m 5\ds|20m|20m \ds) apart/) as string,
  });
  expect(minio.proxy.seen.some(({ operation }) => operation === 'PutObject')).toBe(false);
});

test('archives have their class, and records none', async () => {
  const destination = await open(moto, {}, { storageClass: 'GLACIER_IR' });
  await putAll(destination);
  expect(await destination.head('demo/db/large', null, CALM)).toMatchObject({
    storageClass: 'GLACIER_IR',
    retrieval: 'readable',
  });
  expect((await destination.head('demo/db/small', null, CALM))?.storageClass).toBe('GLACIER_IR');
  expect((await destination.head('demo/db/manifest.json', null, CALM))?.storageClass).toBeNull();
});

test('a class that the store does not have is told', async () => {
  const destination = await open(minio, {}, { storageClass: 'GLACIER' });
  const file = await fileOf(folder.dir, 10);
  await expect(destination.putFile('demo/a', file, options(), CALM)).rejects.toMatchObject({
    code: 'config-invalid',
    hint: expect.stringContaining('BACKUPD_S3_STORAGE_CLASS') as string,
  });
});

test('an object that is archived has to be asked back', async () => {
  const destination = await open(moto, {}, { storageClass: 'GLACIER' });
  const file = await fileOf(folder.dir, 10);
  await destination.putFile('demo/a', file, options(), CALM);
  const head = await destination.head('demo/a', null, CALM);
  expect(head).toMatchObject({ retrieval: 'archived', storageClass: 'GLACIER' });
  await expect(destination.get('demo/a', null, CALM)).rejects.toMatchObject({
    code: 'retrieval-pending',
  });
  await expect(
    destination.read(
      { key: 'demo/a', versionId: null, etag: head?.etag ?? '' },
      { from: 0, bytes: 1 },
      CALM,
    ),
  ).rejects.toMatchObject({ code: 'retrieval-pending' });
});

test('a region that is allowed gets what others do not', async () => {
  const { endpoint } = moto.proxy;
  const bucket = await moto.server.createBucket();
  for (const [allowed, code] of [
    ['us-east-1', null],
    ['eu-central-1', 'config-invalid'],
  ] as const) {
    const settings = bucketSettings({ bucket, endpoint }, { allowedRegions: [allowed] });
    const destination = bucketDestination(settings, settings.place);
    const put = destination.put('demo/a', Buffer.from('x'), { ifAbsent: false }, CALM);
    await (code === null ? put : expect(put).rejects.toMatchObject({ code }));
    expect((await destination.get('demo/a', null, CALM))?.toString()).toBe('x');
  }
});
