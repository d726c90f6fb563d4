import { DeleteBucketCommand } from '@aws-sdk/client-s3';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { Destination } from '../../src/core/destination.ts';
import { secret } from '../../src/core/secret.ts';
import { STORE_KEYS } from '../support/s3-server.ts';
import { s3Stage, type S3Stage } from '../support/s3-stage.ts';
import { CALM } from '../support/uploads.ts';

let stage: S3Stage;

beforeAll(async () => {
  stage = await s3Stage();
});
afterAll(async () => stage[Symbol.asyncDispose]());
beforeEach(() => {
  stage.proxy.calm();
  stage.proxy.forget();
});

async function failure(
  destination: Destination,
): Promise<{ readonly code: string; readonly message: string; readonly hint: string }> {
  return destination.put(stage.newKey(), Buffer.from('x'), { ifAbsent: false }, CALM).then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) =>
      error as { readonly code: string; readonly message: string; readonly hint: string },
  );
}

test('denied, with the action', async () => {
  stage.proxy.disturb({ operation: 'PutObject' }, { status: 403, code: 'AccessDenied' });
  const { code, message, hint } = await failure(stage.open());
  expect(code).toBe('destination-denied');
  expect(message).toMatch(
    /^destination "s3": s3:PutObject on demo\/db\/\d+\/shop.dump.zst was denied/,
  );
  expect(hint).toContain('docs/destinations.md');
});

test('denied by another action that the store names', async () => {
  stage.proxy.disturb(
    { operation: 'PutObject' },
    {
      status: 403,
      code: 'AccessDenied',
      message:
        'User: arn:aws:iam::1:user/b is not authorized to perform: kms:GenerateDataKey on resource: x',
    },
  );
  expect((await failure(stage.open())).message).toContain('kms:GenerateDataKey on');
});

test('a missing key that may not be listed, and one that is only said to be denied', async () => {
  stage.proxy.disturb({ operation: 'HeadObject' }, { status: 403, code: 'AccessDenied' });
  expect(await stage.open().head(stage.newKey(), null, CALM)).toBeNull();
  const key = stage.newKey();
  await stage.open().put(key, Buffer.from('x'), { ifAbsent: false }, CALM);
  await expect(stage.open().head(key, null, CALM)).rejects.toMatchObject({
    code: 'destination-denied',
    message: expect.stringContaining('s3:GetObject') as string,
  });
  stage.proxy.disturb({ operation: 'ListObjectsV2' }, { status: 403, code: 'AccessDenied' });
  await expect(stage.open().head(stage.newKey(), null, CALM)).rejects.toMatchObject({
    code: 'destination-denied',
    message: expect.stringContaining('s3:ListBucket') as string,
  });
});

test('wrong keys', async () => {
  const wrong = { accessKeyId: 'nobody', secretAccessKey: secret('not-the-secret') };
  const { code, message, hint } = await failure(stage.open({ credentials: wrong }));
  expect(code).toBe('destination-denied');
  expect(message).toContain('the keys were not accepted');
  expect(hint).toContain('BACKUPD_S3_ACCESS_KEY_ID');
  expect(JSON.stringify([message, hint])).not.toContain('not-the-secret');
  const rotated = {
    accessKeyId: 'backupd-test',
    secretAccessKey: secret('not-the-secret'),
  };
  expect((await failure(stage.open({ credentials: rotated }))).message).toContain(
    'the keys were not accepted',
  );
});

test('keys in the file of the AWS tools are read anew by whoever opens the bucket', async () => {
  const file = join(stage.dir, 'credentials');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file);
  const { accessKeyId, secretAccessKey } = STORE_KEYS;
  const ends: string[] = [];
  for (const secret of ['not-the-secret', secretAccessKey, 'not-the-secret']) {
    await writeFile(
      file,
      `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secret}\n`,
    );
    const destination = stage.open({ credentials: null });
    ends.push(
      await destination.put(stage.newKey(), Buffer.from('x'), { ifAbsent: false }, CALM).then(
        () => 'put',
        ({ message }: Error) => message,
      ),
    );
  }
  const refused = expect.stringContaining('the keys were not accepted') as unknown;
  expect(ends).toEqual([refused, 'put', refused]);
});

test('no such bucket, also where a head is asked', async () => {
  const gone = await stage.server.createBucket();
  await stage.server.client.send(new DeleteBucketCommand({ Bucket: gone }));
  const { code, message } = await failure(stage.open({ bucket: gone }));
  expect([code, message]).toEqual([
    'destination-unavailable',
    expect.stringContaining(`there is no bucket "${gone}"`),
  ]);
  await expect(stage.open({ bucket: gone }).head(stage.newKey(), null, CALM)).rejects.toMatchObject(
    {
      code: 'destination-unavailable',
      message: expect.stringContaining('there is no bucket') as string,
    },
  );
});

test('the wrong region, with the right one', async () => {
  stage.proxy.disturb(
    { operation: 'PutObject' },
    {
      status: 400,
      code: 'AuthorizationHeaderMalformed',
      message:
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'",
    },
  );
  expect(await failure(stage.open())).toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining('is in the region eu-central-1') as string,
    hint: 'Set BACKUPD_S3_REGION=eu-central-1.',
  });
});

test('clocks that are apart, with both times', async () => {
  stage.proxy.setClockAhead(20 * 60_000);
  const destination = stage.open();
  // The SDK goes by the answer, which is what misleads it here.
  const { code, message } = await failure(destination);
  expect(code).toBe('destination-unavailable');
  expect(message).toMatch(
    /the clocks are (?:20m|19m 5\ds) apart: here it is 20\d\d-[\dT:-]+Z, there 20\d\d-[\dT:-]+Z$/,
  );
});

test('somebody there who says nothing', async () => {
  stage.proxy.disturb({ operation: 'PutObject' }, 'stall');
  expect(await failure(stage.openImpatient())).toMatchObject({
    code: 'destination-unavailable',
    message: expect.stringContaining('cannot be reached: no answer within 2s') as string,
  });
});

test('unreachable, and nobody there', async () => {
  expect((await failure(stage.open({ endpoint: 'http://127.0.0.1:1' }))).message).toContain(
    '127.0.0.1:1 cannot be reached: connection refused (ECONNREFUSED)',
  );
  expect((await failure(stage.open({ endpoint: 'http://nowhere.invalid' }))).message).toContain(
    'nowhere.invalid cannot be reached',
  );
});

test('regions that are not allowed get nothing, nor do those that are not known', async () => {
  const { code, message } = await failure(stage.open({}, { allowedRegions: ['eu-central-1'] }));
  expect(code).toBe('config-invalid');
  expect(message).toMatch(/does not say in which region it is|is in us-east-1/);
  expect(stage.proxy.seen.filter(({ operation }) => operation === 'PutObject')).toEqual([]);
});
