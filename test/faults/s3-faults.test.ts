import { DeleteBucketCommand } from '@aws-sdk/client-s3';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BucketSettings, DestinationSettings } from '../../src/core/destination-settings.ts';
import type { Destination, FileToPut } from '../../src/core/destination.ts';
import { bucketDestination } from '../../src/destinations/s3/s3.ts';
import { s3Proxy, type Fault, type Operation, type S3Proxy } from '../support/s3-proxy.ts';
import { bucketSettings, startMinio, type S3Server } from '../support/s3-server.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/storage.ts';
import { CALM, download, fileOf, MIB, PART_BYTES, testJournal } from '../support/uploads.ts';

let server: S3Server;
let proxy: S3Proxy;
let folder: TemporaryFolder;
let bucket: string;
/** Three parts, the last one smaller. */
let file: FileToPut & { readonly content: Buffer };
let keys = 0;

beforeAll(async () => {
  server = await startMinio();
  proxy = await s3Proxy(server.endpoint);
  folder = await temporaryFolder();
  bucket = await server.createBucket();
  file = await fileOf(folder.dir, 2 * PART_BYTES + 3 * MIB);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});
beforeEach(() => {
  proxy.calm();
  proxy.forget();
});

function open(
  place: Partial<BucketSettings> = {},
  settings: Partial<DestinationSettings> = {},
): Destination {
  const all = bucketSettings({ bucket, endpoint: proxy.endpoint, ...place }, settings);
  return bucketDestination(all, all.place, { connectMs: 1000, idleMs: 700 });
}

function newKey(): string {
  keys += 1;
  return `demo/db/${keys}/shop.dump.zst`;
}

const FAULTS: readonly (readonly [string, Fault])[] = [
  ['500', { status: 500, code: 'InternalError' }],
  ['503 SlowDown', { status: 503, code: 'SlowDown' }],
  ['a reset', 'reset'],
  ['a stall', 'stall'],
  ['a lost answer', 'lose'],
];
const PLACES: readonly (readonly [string, Operation, number | undefined])[] = [
  ['the first part', 'UploadPart', 1],
  ['the middle part', 'UploadPart', 2],
  ['the last part', 'UploadPart', 3],
  ['complete', 'CompleteMultipartUpload', undefined],
];
const CASES = FAULTS.flatMap(([name, fault]) =>
  PLACES.map(([where, operation, part]) => ({ name, fault, where, operation, part })),
);

function which({
  operation,
  part,
}: {
  readonly operation: Operation;
  readonly part: number | undefined;
}): { readonly operation: Operation; readonly part?: number } {
  return { operation, ...(part === undefined ? {} : { part }) };
}

describe('an upload', () => {
  test.each(CASES)('goes on by itself after $name at $where', async (one) => {
    const key = newKey();
    const journal = testJournal();
    proxy.disturb(which(one), one.fault, 1);
    const put = await open().putFile(key, file, { journal, onProgress: () => {} }, CALM);
    expect(put.sentBytes).toBe(file.bytes);
    expect(journal.state()).toBeNull();
    expect((await download(open(), key, PART_BYTES)).equals(file.content)).toBe(true);
    expect(await Array.fromAsync(open().listUploads(key, CALM))).toEqual([]);
  });

  const REFUSALS: readonly (readonly [string, Fault, string])[] = [
    ...FAULTS.filter(([name]) => name !== 'a lost answer').map(
      ([name, fault]) => [name, fault, 'destination-unavailable'] as const,
    ),
    ['403', { status: 403, code: 'AccessDenied' }, 'destination-denied'],
  ];
  const LASTING = REFUSALS.flatMap(([name, fault, code]) =>
    PLACES.map(([where, operation, part]) => ({ name, fault, code, where, operation, part })),
  );
  test.each(LASTING)(
    'fails on lasting $name at $where, and the next one sends what is missing',
    async (one) => {
      const key = newKey();
      const journal = testJournal();
      proxy.disturb(which(one), one.fault);
      await expect(
        open().putFile(key, file, { journal, onProgress: () => {} }, CALM),
      ).rejects.toMatchObject({ code: one.code });
      const has = Object.keys(journal.state()?.etags ?? {}).length;
      expect(has).toBeGreaterThanOrEqual(one.operation === 'UploadPart' ? 1 : 3);
      expect(await open().head(key, null, CALM)).toBeNull();
      proxy.calm();
      proxy.forget();
      const put = await open().putFile(key, file, { journal, onProgress: () => {} }, CALM);
      const missing = one.operation === 'UploadPart' ? file.bytes - has * PART_BYTES : 0;
      expect(put.sentBytes).toBeLessThanOrEqual(
        Math.max(
          missing,
          one.part === 3 ? 3 * MIB : 0,
          one.operation === 'UploadPart' ? PART_BYTES : 0,
        ),
      );
      expect(proxy.bytesOf('UploadPart')).toBe(put.sentBytes);
      expect(journal.state()).toBeNull();
      expect((await download(open(), key, PART_BYTES)).equals(file.content)).toBe(true);
    },
  );

  test.each(PLACES.slice(0, 3))(
    'never takes an altered byte in %s for the file',
    async (_where, operation, part) => {
      const key = newKey();
      const journal = testJournal();
      proxy.disturb(which({ operation, part }), 'alter', 1);
      await expect(
        open().putFile(key, file, { journal, onProgress: () => {} }, CALM),
      ).rejects.toMatchObject({ code: 'destination-unavailable' });
      expect(await open().head(key, null, CALM)).toBeNull();
      await open().putFile(key, file, { journal, onProgress: () => {} }, CALM);
      expect((await download(open(), key, PART_BYTES)).equals(file.content)).toBe(true);
    },
  );

  test('that lost every answer to complete is found to be done', async () => {
    const key = newKey();
    const journal = testJournal();
    proxy.disturb({ operation: 'CompleteMultipartUpload' }, 'lose');
    const put = await open().putFile(key, file, { journal, onProgress: () => {} }, CALM);
    expect(put.sentBytes).toBe(file.bytes);
    expect(journal.state()).toBeNull();
  });

  test('whose parts were not recorded compares them with the file', async () => {
    const key = newKey();
    const journal = testJournal();
    proxy.disturb({ operation: 'CompleteMultipartUpload' }, { status: 500, code: 'InternalError' });
    await expect(
      open().putFile(key, file, { journal, onProgress: () => {} }, CALM),
    ).rejects.toMatchObject({ code: 'destination-unavailable' });
    const state = journal.state();
    expect(state).not.toBeNull();
    if (state !== null) {
      await journal.write({ ...state, etags: {} });
    }
    proxy.calm();
    expect(
      (await open().putFile(key, file, { journal, onProgress: () => {} }, CALM)).sentBytes,
    ).toBe(0);
  });

  test('of another file does not go on with what is recorded', async () => {
    const key = newKey();
    const journal = testJournal();
    proxy.disturb({ operation: 'CompleteMultipartUpload' }, { status: 500, code: 'InternalError' });
    await expect(
      open().putFile(key, file, { journal, onProgress: () => {} }, CALM),
    ).rejects.toThrow('500');
    proxy.calm();
    const other = await fileOf(folder.dir, file.bytes, 'other');
    expect(
      (await open().putFile(key, other, { journal, onProgress: () => {} }, CALM)).sentBytes,
    ).toBe(other.bytes);
    expect(await Array.fromAsync(open().listUploads(key, CALM))).toEqual([]);
    expect((await download(open(), key, PART_BYTES)).equals(other.content)).toBe(true);
  });

  test('whose record is of an upload that is gone begins anew', async () => {
    const key = newKey();
    const journal = testJournal();
    proxy.disturb({ operation: 'CompleteMultipartUpload' }, { status: 500, code: 'InternalError' });
    await expect(
      open().putFile(key, file, { journal, onProgress: () => {} }, CALM),
    ).rejects.toThrow('500');
    proxy.calm();
    for await (const upload of open().listUploads(key, CALM)) {
      await open().abortUpload(upload, CALM);
    }
    expect(
      (await open().putFile(key, file, { journal, onProgress: () => {} }, CALM)).sentBytes,
    ).toBe(file.bytes);
  });

  test('keeps to its rate, all parts together', async () => {
    const small = await fileOf(folder.dir, PART_BYTES + 2 * MIB, 'small');
    const startedAt = performance.now();
    await open({}, { rateBytes: 10 * MIB }).putFile(
      newKey(),
      small,
      { journal: testJournal(), onProgress: () => {} },
      CALM,
    );
    expect(performance.now() - startedAt).toBeGreaterThan(1600);
  });
});

describe('small objects', () => {
  test('are not taken for absent or present by a lost answer', async () => {
    const key = newKey();
    proxy.disturb({ operation: 'PutObject' }, 'lose', 1);
    expect(await open().put(key, Buffer.from('mine'), { ifAbsent: true }, CALM)).toBe('put');
    expect(await open().put(key, Buffer.from('yours'), { ifAbsent: true }, CALM)).toBe('exists');
  });

  test('are put and read back where the store does not know the condition', async () => {
    const key = newKey();
    proxy.disturb({ operation: 'PutObject' }, { status: 501, code: 'NotImplemented' }, 1);
    expect(await open().put(key, Buffer.from('mine'), { ifAbsent: true }, CALM)).toBe('put');
    expect(
      proxy.seen
        .filter(({ operation }) => operation === 'PutObject')
        .map(({ headers }) => headers['if-none-match']),
    ).toEqual(['*', undefined]);
    expect(String(await open().get(key, null, CALM))).toBe('mine');
  });

  test('never name a storage class or carry checksums that were not asked for', async () => {
    await open().put(newKey(), Buffer.from('x'), { ifAbsent: false }, CALM);
    await open().putFile(newKey(), file, { journal: testJournal(), onProgress: () => {} }, CALM);
    const named = proxy.seen
      .flatMap(({ headers }) => Object.keys(headers))
      .filter((name) => /storage-class|checksum|trailer/.test(name));
    expect(named).toEqual([]);
  });
});

describe('a download', () => {
  test.each([
    ['cut', 'cut'],
    ['stalled', 'stall'],
  ] as const)('that is %s is an error', async (_name, fault) => {
    const key = newKey();
    await open().putFile(key, file, { journal: testJournal(), onProgress: () => {} }, CALM);
    const head = await open().head(key, null, CALM);
    proxy.disturb({ operation: 'GetObject' }, fault);
    expect(head).not.toBeNull();
    if (head !== null) {
      const read = open().read(head, { from: 0, bytes: head.bytes }, CALM).then(buffer);
      await expect(read).rejects.toMatchObject({ code: 'destination-unavailable' });
    }
  });
});

describe('failures are told apart', () => {
  async function failure(
    destination: Destination,
  ): Promise<{ readonly code: string; readonly message: string; readonly hint: string }> {
    return destination.put(newKey(), Buffer.from('x'), { ifAbsent: false }, CALM).then(
      () => {
        throw new Error('it did not fail');
      },
      (error: unknown) =>
        error as { readonly code: string; readonly message: string; readonly hint: string },
    );
  }

  test('denied, with the action', async () => {
    proxy.disturb({ operation: 'PutObject' }, { status: 403, code: 'AccessDenied' });
    const { code, message, hint } = await failure(open());
    expect(code).toBe('destination-denied');
    expect(message).toMatch(
      /^destination "s3": s3:PutObject on demo\/db\/\d+\/shop.dump.zst was denied/,
    );
    expect(hint).toContain('docs/destinations.md');
  });

  test('denied by another action that the store names', async () => {
    proxy.disturb(
      { operation: 'PutObject' },
      {
        status: 403,
        code: 'AccessDenied',
        message:
          'User: arn:aws:iam::1:user/b is not authorized to perform: kms:GenerateDataKey on resource: x',
      },
    );
    expect((await failure(open())).message).toContain('kms:GenerateDataKey on');
  });

  test('a missing key that may not be listed, and one that is only said to be denied', async () => {
    proxy.disturb({ operation: 'HeadObject' }, { status: 403, code: 'AccessDenied' });
    expect(await open().head(newKey(), null, CALM)).toBeNull();
    const key = newKey();
    await open().put(key, Buffer.from('x'), { ifAbsent: false }, CALM);
    await expect(open().head(key, null, CALM)).rejects.toMatchObject({
      code: 'destination-denied',
      message: expect.stringContaining('s3:GetObject') as string,
    });
    proxy.disturb({ operation: 'ListObjectsV2' }, { status: 403, code: 'AccessDenied' });
    await expect(open().head(newKey(), null, CALM)).rejects.toMatchObject({
      code: 'destination-denied',
      message: expect.stringContaining('s3:ListBucket') as string,
    });
  });

  test('wrong keys', async () => {
    const wrong = { accessKeyId: 'nobody', secretAccessKey: { reveal: () => 'not-the-secret' } };
    const { code, message, hint } = await failure(open({ credentials: wrong }));
    expect(code).toBe('destination-denied');
    expect(message).toContain('the keys were not accepted');
    expect(hint).toContain('BACKUPD_S3_ACCESS_KEY_ID');
    expect(JSON.stringify([message, hint])).not.toContain('not-the-secret');
    const rotated = {
      accessKeyId: 'backupd-test',
      secretAccessKey: { reveal: () => 'not-the-secret' },
    };
    expect((await failure(open({ credentials: rotated }))).message).toContain(
      'the keys were not accepted',
    );
  });

  test('no such bucket, also where a head is asked', async () => {
    const gone = await server.createBucket();
    await server.client.send(new DeleteBucketCommand({ Bucket: gone }));
    const { code, message } = await failure(open({ bucket: gone }));
    expect([code, message]).toEqual([
      'destination-unavailable',
      expect.stringContaining(`there is no bucket "${gone}"`),
    ]);
    await expect(open({ bucket: gone }).head(newKey(), null, CALM)).rejects.toMatchObject({
      code: 'destination-unavailable',
      message: expect.stringContaining('there is no bucket') as string,
    });
  });

  test('the wrong region, with the right one', async () => {
    proxy.disturb(
      { operation: 'PutObject' },
      {
        status: 400,
        code: 'AuthorizationHeaderMalformed',
        message:
          "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'",
      },
    );
    expect(await failure(open())).toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining('is in the region eu-central-1') as string,
      hint: 'Set BACKUPD_S3_REGION=eu-central-1.',
    });
  });

  test('clocks that are apart, with both times', async () => {
    proxy.setClockAhead(20 * 60_000);
    const destination = open();
    // The SDK goes by the answer, which is what misleads it here.
    const { code, message } = await failure(destination);
    expect(code).toBe('destination-unavailable');
    expect(message).toMatch(
      /the clocks are \d+m \d+s apart: here it is 20\d\d-[\dT:-]+Z, at the store 20\d\d-[\dT:-]+Z$|the clocks are 20m/,
    );
  });

  test('unreachable, and nobody there', async () => {
    expect((await failure(open({ endpoint: 'http://127.0.0.1:1' }))).message).toContain(
      '127.0.0.1:1 cannot be reached: connection refused (ECONNREFUSED)',
    );
    expect((await failure(open({ endpoint: 'http://nowhere.invalid' }))).message).toContain(
      'nowhere.invalid cannot be reached',
    );
  });

  test('regions that are not allowed get nothing, nor do those that are not known', async () => {
    const { code, message } = await failure(open({}, { allowedRegions: ['eu-central-1'] }));
    expect(code).toBe('config-invalid');
    expect(message).toMatch(/does not say in which region it is|is in us-east-1/);
    expect(proxy.seen.filter(({ operation }) => operation === 'PutObject')).toEqual([]);
  });
});
