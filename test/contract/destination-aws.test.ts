import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { bucketDestination } from '../../src/destinations/s3/s3.ts';
import type { Destination } from '../../src/core/destination.ts';
import { s3Proxy, type S3Proxy } from '../support/s3-proxy.ts';
import { bucketSettings, startMoto, type S3Server } from '../support/s3-server.ts';
import { temporaryFolder } from '../support/storage.ts';
import {
  CALM,
  download,
  fileOf,
  MIB,
  options,
  PART_BYTES,
  testJournal,
} from '../support/uploads.ts';

/** What is said to AWS, heard by a store that the SDK takes for it: as the AWS tools it goes by this variable. */
let server: S3Server;
let proxy: S3Proxy;
let bucket: string;

beforeAll(async () => {
  server = await startMoto();
  proxy = await s3Proxy(server.endpoint);
  bucket = await server.createBucket();
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

function open(): Destination {
  vi.stubEnv('AWS_ENDPOINT_URL_S3', proxy.endpoint);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'of-the-chain');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'of-the-chain');
  vi.stubEnv('AWS_REGION', 'us-east-1');
  const settings = bucketSettings(
    // Its host has no names below it, so the bucket is in the path.
    { bucket, endpoint: null, credentials: null, pathStyle: true },
    { allowedRegions: ['us-east-1'] },
  );
  return bucketDestination(settings, settings.place);
}

test('keys come from the chain; every body carries a checksum, archives are STANDARD_IA, records are not', async () => {
  await using folder = await temporaryFolder();
  const destination = open();
  const file = await fileOf(folder.dir, 2 * PART_BYTES + MIB);
  const small = await fileOf(folder.dir, 10);
  await destination.putFile('demo/large', file, options(), CALM);
  await destination.putFile('demo/small', small, options(), CALM);
  await destination.put('demo/manifest.json', Buffer.from('{}'), { ifAbsent: true }, CALM);
  const bodies = proxy.seen.filter(({ operation }) =>
    ['PutObject', 'UploadPart'].includes(operation),
  );
  expect(bodies).toHaveLength(5);
  for (const { headers } of bodies) {
    expect(headers['x-amz-checksum-crc32']).toMatch(/^[A-Za-z0-9+/]{6}==$/);
    expect(headers['authorization']).toContain('Credential=of-the-chain/');
    expect(headers['content-md5']).toBeUndefined();
    expect(headers['x-amz-trailer']).toBeUndefined();
  }
  const classes = proxy.seen
    .filter(({ operation }) => ['PutObject', 'CreateMultipartUpload'].includes(operation))
    .map(({ path, headers }) => `${path.split('/').at(-1)} ${headers['x-amz-storage-class']}`);
  expect(classes).toEqual(['large STANDARD_IA', 'small STANDARD_IA', 'manifest.json undefined']);
  expect((await download(destination, 'demo/large', 5 * MIB)).equals(file.content)).toBe(true);
  expect(await destination.inspect(CALM)).toMatchObject({ region: 'us-east-1', isOffsite: true });
});

test('an upload that was cut off goes on by the checksums of its parts', async () => {
  await using folder = await temporaryFolder();
  const file = await fileOf(folder.dir, 2 * PART_BYTES + MIB);
  const journal = testJournal();
  proxy.disturb({ operation: 'CompleteMultipartUpload' }, { status: 500, code: 'InternalError' });
  await expect(open().putFile('demo/cut', file, options(journal), CALM)).rejects.toThrow('500');
  proxy.calm();
  const state = journal.state();
  expect(state).not.toBeNull();
  if (state !== null) {
    await journal.write({ ...state, etags: {} });
  }
  expect((await open().putFile('demo/cut', file, options(journal), CALM)).sentBytes).toBe(0);
  expect((await download(open(), 'demo/cut', PART_BYTES)).equals(file.content)).toBe(true);
});

test('without a region that is known nothing is asked', async () => {
  const destination = open();
  vi.stubEnv('AWS_REGION', undefined);
  vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
  await expect(destination.get('demo/record', null, CALM)).rejects.toMatchObject({
    code: 'config-invalid',
    hint: 'Set BACKUPD_S3_REGION.',
  });
});

test('without keys that are known it is said where they are looked for', async () => {
  const destination = open();
  vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined);
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere');
  vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  await expect(destination.get('demo/record', null, CALM)).rejects.toMatchObject({
    code: 'destination-denied',
    message: expect.stringContaining('the keys were not accepted') as string,
  });
});
