import { expect, it } from 'vitest';
import type { UploadState } from '../../../src/core/destination.ts';
import { isOf, partBytesOf, uploadRecord } from '../../../src/destinations/s3/upload-record.ts';
import { MIB, testJournal } from '../../support/uploads.ts';

const STATE: UploadState = {
  key: 'demo/a',
  uploadId: 'u',
  partBytes: 16 * MIB,
  bytes: 100 * MIB,
  sha256: '00',
  etags: { 1: 'one' },
};

it.each([
  [0, 16],
  [1, 16],
  [9900 * 16 * MIB, 16],
  [9900 * 16 * MIB + 1, 17],
  [1024 ** 4, 106],
  [48 * 1024 ** 4, 5085],
])('%d bytes go in parts of %d MiB', (bytes, mib) => {
  expect(partBytesOf(bytes)).toBe(mib * MIB);
  expect(Math.ceil(bytes / partBytesOf(bytes))).toBeLessThanOrEqual(9900);
});

it('knows the upload of a file', () => {
  const file = { path: '/x', bytes: 100 * MIB, sha256: '00' };
  expect(isOf(STATE, 'demo/a', file)).toBe(true);
  expect(isOf(STATE, 'demo/b', file)).toBe(false);
  expect(isOf(STATE, 'demo/a', { ...file, bytes: 1 })).toBe(false);
  expect(isOf(STATE, 'demo/a', { ...file, sha256: '01' })).toBe(false);
  expect(isOf({ ...STATE, partBytes: MIB }, 'demo/a', file)).toBe(false);
});

it('writes down what was noted, one write at a time', async () => {
  const journal = testJournal();
  const held: (() => void)[] = [];
  const written: UploadState[] = [];
  const record = uploadRecord(
    {
      ...journal,
      async write(state) {
        written.push(state);
        await new Promise<void>((resolve) => held.push(resolve));
      },
    },
    STATE,
  );
  record.note(2, 'two');
  record.note(3, 'three');
  record.note(4, 'four');
  expect(written.map(({ etags }) => Object.keys(etags).length)).toEqual([2]);
  const settled = record.settle();
  held.shift()?.();
  await Promise.resolve();
  await Promise.resolve();
  held.shift()?.();
  await settled;
  expect(written.map(({ etags }) => Object.keys(etags).length)).toEqual([2, 4]);
  expect(written.at(-1)?.etags).toEqual({ 1: 'one', 2: 'two', 3: 'three', 4: 'four' });
  await record.settle();
});

it('fails as writing does, and not before somebody asks', async () => {
  const record = uploadRecord(
    { ...testJournal(), write: () => Promise.reject(new Error('no space')) },
    STATE,
  );
  record.note(2, 'two');
  await Promise.resolve();
  await Promise.resolve();
  await expect(record.settle()).rejects.toThrow('no space');
});
