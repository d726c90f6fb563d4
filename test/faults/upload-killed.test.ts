import { ListPartsCommand } from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readUploads } from '../../src/store/upload-journals.ts';
import { openStore, type OffSiteStage, type Store } from '../support/off-site-stage.ts';
import { backupId } from '../support/storage.ts';

const MIB = 1024 * 1024;
/** Three parts. */
const FILE_BYTES = 40 * MIB;

let store: Store;
let stage: OffSiteStage;
let hour = 0;

beforeAll(async () => {
  store = await openStore();
  stage = await store.stage();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
});

/** Bytes of parts that the store has of an upload that is not finished. */
async function bytesThere(): Promise<number> {
  const [upload] = await readUploads(stage.box.dir, 's3');
  if (upload === undefined) {
    return 0;
  }
  const { Parts = [] } = await stage.client.send(
    new ListPartsCommand({ Bucket: stage.bucket, Key: upload.key, UploadId: upload.uploadId }),
  );
  return Parts.reduce((sum, { Size = 0 }) => sum + Size, 0);
}

interface Sending {
  readonly id: string;
  readonly ok: boolean;
  readonly bytes: number;
}

test.each([
  { at: 'copy-recorded', isFileThere: false, isThere: false },
  { at: 'upload-recorded', isFileThere: false, isThere: false },
  { at: 'part-sent:2', isFileThere: false, isThere: false },
  { at: 'upload-finished', isFileThere: true, isThere: false },
  { at: 'file-uploaded', isFileThere: true, isThere: false },
  { at: 'receipts-uploaded', isFileThere: true, isThere: false },
  { at: 'manifest-uploaded', isFileThere: true, isThere: true },
  { at: 'copy-confirmed', isFileThere: true, isThere: true },
])(
  'killed at $at: the next one finishes it',
  async ({ at, isFileThere, isThere }) => {
    hour += 1;
    const manifest = await stage.add(hour, FILE_BYTES);
    const died = await stage.box.backupd(['upload'], { killAt: at });
    expect(died.exitCode).toBe(137);
    const folder = `demo/db/${manifest.id}`;
    const keys = await stage.keys();
    expect(keys.includes(`${folder}/shop.dump.zst`)).toBe(isFileThere);
    expect(keys.includes(`${folder}/manifest.json`)).toBe(isThere);
    const listed = await stage.box.json<readonly { id: string }[]>(['list', '--from', 's3']);
    expect(listed.some(({ id }) => id === manifest.id)).toBe(isThere);

    const missingBytes = isFileThere ? 0 : FILE_BYTES - (await bytesThere());
    stage.proxy.forget();
    const sendings = await stage.box.json<readonly Sending[]>(['upload']);
    const sent =
      at === 'copy-confirmed' ? [] : [{ id: manifest.id, ok: true, bytes: missingBytes }];
    expect(sendings.map(({ id, ok, bytes }) => ({ id, ok, bytes }))).toEqual(sent);
    expect(stage.proxy.bytesOf('UploadPart')).toBe(missingBytes);
    // A manifest, and nothing else.
    expect(stage.proxy.bytesOf('PutObject')).toBeLessThan(5000);

    const there = await stage.destination.head(
      `${folder}/shop.dump.zst`,
      null,
      AbortSignal.timeout(30_000),
    );
    expect(there).toMatchObject({ bytes: FILE_BYTES, sha256: manifest.files[0]?.sha256 });
    const stream = await stage.destination.read(
      there ?? { key: '', versionId: null, etag: '' },
      { from: 0, bytes: FILE_BYTES },
      AbortSignal.timeout(60_000),
    );
    const hash = createHash('sha256');
    for await (const chunk of stream) {
      hash.update(chunk as Buffer);
    }
    expect(hash.digest('hex')).toBe(manifest.files[0]?.sha256);
    expect((await stage.catalog.find(backupId(hour))).receipts.map(({ type }) => type)).toEqual([
      'uploaded',
    ]);
    expect(await readUploads(stage.box.dir, 's3')).toEqual([]);
  },
  120_000,
);
