import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Destination, FileToPut } from '../../src/core/destination.ts';
import type { Fault, Operation } from '../support/s3-proxy.ts';
import { s3Stage, type S3Stage } from '../support/s3-stage.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  CALM,
  download,
  fileOf,
  MIB,
  options,
  PART_BYTES,
  testJournal,
} from '../support/uploads.ts';

let stage: S3Stage;
/** Three parts, the last one smaller. */
let file: FileToPut & { readonly content: Buffer };

beforeAll(async () => {
  stage = await s3Stage();
  file = await fileOf(stage.dir, 2 * PART_BYTES + 3 * MIB);
});
afterAll(async () => stage[Symbol.asyncDispose]());
beforeEach(() => {
  stage.proxy.calm();
  stage.proxy.forget();
});

/** Where nothing goes on, nobody wants to wait for long. */
function openFor(fault: Fault): Destination {
  return fault === 'stall' ? stage.openImpatient() : stage.open();
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

/** An upload of which the store has all parts, and has not put them together; nothing is in its way any more. */
async function cutOffAtComplete(): Promise<{
  readonly key: string;
  readonly journal: ReturnType<typeof testJournal>;
}> {
  const key = stage.newKey();
  const journal = testJournal();
  stage.proxy.disturb(
    { operation: 'CompleteMultipartUpload' },
    { status: 500, code: 'InternalError' },
  );
  await expect(stage.open().putFile(key, file, options(journal), CALM)).rejects.toMatchObject({
    code: 'destination-unavailable',
    message: expect.stringContaining('500') as unknown,
  });
  stage.proxy.calm();
  return { key, journal };
}

describe('an upload', () => {
  test.each(CASES)('goes on by itself after $name at $where', async (one) => {
    const key = stage.newKey();
    const journal = testJournal();
    stage.proxy.disturb(which(one), one.fault, 1);
    const put = await openFor(one.fault).putFile(key, file, options(journal), CALM);
    expect(put.sentBytes).toBe(file.bytes);
    expect(journal.state()).toBeNull();
    expect((await download(stage.open(), key, PART_BYTES)).equals(file.content)).toBe(true);
    expect(await Array.fromAsync(stage.open().listUploads(key, CALM))).toEqual([]);
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
      const key = stage.newKey();
      const journal = testJournal();
      stage.proxy.disturb(which(one), one.fault);
      await expect(
        openFor(one.fault).putFile(key, file, options(journal), CALM),
      ).rejects.toMatchObject({
        code: one.code,
      });
      const has = Object.keys(journal.state()?.etags ?? {}).length;
      expect(has).toBeGreaterThanOrEqual(one.operation === 'UploadPart' ? 1 : 3);
      expect(await stage.open().head(key, null, CALM)).toBeNull();
      stage.proxy.calm();
      stage.proxy.forget();
      const put = await stage.open().putFile(key, file, options(journal), CALM);
      const missing = one.operation === 'UploadPart' ? file.bytes - has * PART_BYTES : 0;
      expect(put.sentBytes).toBeLessThanOrEqual(
        Math.max(
          missing,
          one.part === 3 ? 3 * MIB : 0,
          one.operation === 'UploadPart' ? PART_BYTES : 0,
        ),
      );
      expect(stage.proxy.bytesOf('UploadPart')).toBe(put.sentBytes);
      expect(journal.state()).toBeNull();
      expect((await download(stage.open(), key, PART_BYTES)).equals(file.content)).toBe(true);
    },
  );

  test.each(PLACES.slice(0, 3))(
    'never takes an altered byte in %s for the file',
    async (_where, operation, part) => {
      const key = stage.newKey();
      const journal = testJournal();
      stage.proxy.disturb(which({ operation, part }), 'alter', 1);
      await expect(stage.open().putFile(key, file, options(journal), CALM)).rejects.toMatchObject({
        code: 'destination-unavailable',
      });
      expect(await stage.open().head(key, null, CALM)).toBeNull();
      await stage.open().putFile(key, file, options(journal), CALM);
      expect((await download(stage.open(), key, PART_BYTES)).equals(file.content)).toBe(true);
    },
  );

  test('that lost every answer to complete is found to be done', async () => {
    const key = stage.newKey();
    const journal = testJournal();
    stage.proxy.disturb({ operation: 'CompleteMultipartUpload' }, 'lose');
    const put = await stage.open().putFile(key, file, options(journal), CALM);
    expect(put.sentBytes).toBe(file.bytes);
    expect(journal.state()).toBeNull();
  });

  test('whose parts were not recorded compares them with the file', async () => {
    const { key, journal } = await cutOffAtComplete();
    const state = journal.state();
    expect(state).not.toBeNull();
    if (state !== null) {
      await journal.write({ ...state, etags: {} });
    }
    expect((await stage.open().putFile(key, file, options(journal), CALM)).sentBytes).toBe(0);
  });

  test('of another file does not go on with what is recorded', async () => {
    const { key, journal } = await cutOffAtComplete();
    const other = await fileOf(stage.dir, file.bytes, 'other');
    expect((await stage.open().putFile(key, other, options(journal), CALM)).sentBytes).toBe(
      other.bytes,
    );
    expect(await Array.fromAsync(stage.open().listUploads(key, CALM))).toEqual([]);
    expect((await download(stage.open(), key, PART_BYTES)).equals(other.content)).toBe(true);
  });

  test('whose record is of an upload that is gone begins anew', async () => {
    const { key, journal } = await cutOffAtComplete();
    for await (const upload of stage.open().listUploads(key, CALM)) {
      await stage.open().abortUpload(upload, CALM);
    }
    expect((await stage.open().putFile(key, file, options(journal), CALM)).sentBytes).toBe(
      file.bytes,
    );
  });

  test('that goes slowly ends when it is aborted, and goes on after a reset', async () => {
    const key = stage.newKey();
    const journal = testJournal();
    const small = await fileOf(stage.dir, PART_BYTES + 2 * MIB, 'slow');
    const stop = new AbortController();
    const reason = new Error('enough');
    const slow = stage.open({}, { rateBytes: 100_000 });
    const cut = slow.putFile(key, small, options(journal), stop.signal);
    await waitFor('part on its way', () => stage.proxy.bytesOf('UploadPart') > 50_000);
    stop.abort(reason);
    await expect(cut).rejects.toBe(reason);
    expect(stage.proxy.bytesOf('UploadPart')).toBeLessThan(PART_BYTES);
    stage.proxy.disturb({ operation: 'UploadPart', part: 1 }, 'reset', 1);
    const fast = stage.open({}, { rateBytes: 100 * MIB });
    expect((await fast.putFile(key, small, options(journal), CALM)).sentBytes).toBe(small.bytes);
    expect((await download(stage.open(), key, PART_BYTES)).equals(small.content)).toBe(true);
  });
});

describe('small objects', () => {
  test('are not taken for absent or present by a lost answer', async () => {
    const key = stage.newKey();
    stage.proxy.disturb({ operation: 'PutObject' }, 'lose', 1);
    expect(await stage.open().put(key, Buffer.from('mine'), { ifAbsent: true }, CALM)).toBe('put');
    expect(await stage.open().put(key, Buffer.from('yours'), { ifAbsent: true }, CALM)).toBe(
      'exists',
    );
  });

  test('are put and read back where the store does not know the condition', async () => {
    const key = stage.newKey();
    stage.proxy.disturb({ operation: 'PutObject' }, { status: 501, code: 'NotImplemented' }, 1);
    expect(await stage.open().put(key, Buffer.from('mine'), { ifAbsent: true }, CALM)).toBe('put');
    expect(
      stage.proxy.seen
        .filter(({ operation }) => operation === 'PutObject')
        .map(({ headers }) => headers['if-none-match']),
    ).toEqual(['*', undefined]);
    expect(String(await stage.open().get(key, null, CALM))).toBe('mine');
  });

  test('never name a storage class or carry checksums that were not asked for', async () => {
    await stage.open().put(stage.newKey(), Buffer.from('x'), { ifAbsent: false }, CALM);
    await stage.open().putFile(stage.newKey(), file, options(), CALM);
    const named = stage.proxy.seen
      .flatMap(({ headers }) => Object.keys(headers))
      .filter((name) => /storage-class|checksum|trailer/.test(name));
    expect(named).toEqual([]);
  });
});

test('a small object that is altered on its way is not taken for what was put', async () => {
  const key = stage.newKey();
  await stage.open().put(key, Buffer.from('a record'), { ifAbsent: false }, CALM);
  stage.proxy.disturb({ operation: 'GetObject' }, 'alter', 1);
  await expect(stage.open().get(key, null, CALM)).rejects.toMatchObject({
    code: 'archive-corrupt',
  });
  expect(String(await stage.open().get(key, null, CALM))).toBe('a record');
});

describe('a download', () => {
  test.each([
    ['cut', 'cut'],
    ['stalled', 'stall'],
  ] as const)('that is %s is an error', async (_name, fault) => {
    const key = stage.newKey();
    await stage.open().putFile(key, file, options(), CALM);
    const head = await stage.open().head(key, null, CALM);
    stage.proxy.disturb({ operation: 'GetObject' }, fault);
    expect(head).not.toBeNull();
    if (head !== null) {
      const read = openFor(fault).read(head, { from: 0, bytes: head.bytes }, CALM).then(buffer);
      await expect(read).rejects.toMatchObject({ code: 'destination-unavailable' });
    }
  });
});
