import { rm, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { BackupdError } from '../../../src/core/errors.ts';
import { pinBackup } from '../../../src/jobs/pin.ts';
import { upload } from '../../../src/jobs/upload.ts';
import { acquireDestinationLock } from '../../../src/store/lock.ts';
import { readPartialCopies } from '../../../src/store/partial-copies.ts';
import { readUploads } from '../../../src/store/upload-journals.ts';
import { readUploadRecord } from '../../../src/store/upload-record.ts';
import { configured, copiesStage, copyKeys, sent } from '../../support/upload-stage.ts';
import { memoryDestination } from '../../support/memory-destination.ts';
import { backupId, commitBackup, SAMPLE_ARCHIVE } from '../../support/storage.ts';

const OWNER = 'demo/.backupd/owner.json';
const never = new AbortController().signal;

function down(): never {
  throw new BackupdError('destination-unavailable', 'it is down');
}

describe('what is sent', () => {
  test('files, then receipts, then the manifest; the oldest backup first', async () => {
    await using stage = await copiesStage();
    await stage.add(2, 1);
    await pinBackup({ id: backupId(1), waitMs: 0 }, stage.app, never);
    expect(await sent(stage)).toEqual([
      [backupId(1), 'ok'],
      [backupId(2), 'ok'],
    ]);
    expect(stage.place.keys()).toEqual([
      OWNER,
      ...copyKeys(backupId(1), '0001-pinned.json'),
      ...copyKeys(backupId(2)),
    ]);
    const written = stage.place.requests
      .filter(({ method }) => method === 'put' || method === 'completeFile')
      .map(({ key }) => key.split('/').slice(2).join('/'));
    expect(written).toEqual([
      'owner.json',
      `${backupId(1)}/shop.dump.zst`,
      `${backupId(1)}/receipts/0001-pinned.json`,
      `${backupId(1)}/manifest.json`,
      `${backupId(2)}/shop.dump.zst`,
      `${backupId(2)}/manifest.json`,
    ]);
    expect(await stage.receipts(2)).toEqual([
      {
        type: 'uploaded',
        at: expect.any(String) as string,
        destination: 's3',
        files: [
          { name: 'shop.dump.zst', bytes: 7, etag: expect.any(String) as string, versionId: null },
          {
            name: 'manifest.json',
            bytes: expect.any(Number) as number,
            etag: expect.any(String) as string,
            versionId: null,
          },
        ],
      },
    ]);
    expect(await readPartialCopies(stage.dir, 's3')).toEqual([]);
  });

  test('what is there is not sent again', async () => {
    await using stage = await copiesStage();
    await stage.add(1);
    await stage.upload();
    const { sentBytes } = stage.place;
    expect(await sent(stage)).toEqual([]);
    expect(stage.place.sentBytes).toBe(sentBytes);
  });

  test('only what retention there would keep', async () => {
    const keep = { all: false, last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0 } as const;
    await using stage = await copiesStage({
      settings: { keep: { ...keep, yearly: 0, withinMs: 0 } },
    });
    await stage.add(1, 2, 3);
    await pinBackup({ id: backupId(1), waitMs: 0 }, stage.app, never);
    expect(await sent(stage)).toEqual([
      [backupId(1), 'ok'],
      [backupId(3), 'ok'],
    ]);
  });

  test.each([
    ['suspicious', { suspicious: true }],
    ['safety', { kind: 'safety' }],
  ] as const)('a %s backup only where it is pinned', async (_name, change) => {
    await using stage = await copiesStage();
    const { catalog } = stage;
    await stage.add(1);
    await commitBackup(catalog, { id: backupId(2), ...change });
    expect(await sent(stage)).toEqual([[backupId(1), 'ok']]);
    await pinBackup({ id: backupId(2), waitMs: 0 }, stage.app, never);
    expect(await sent(stage)).toEqual([[backupId(2), 'ok']]);
  });

  test('pins and verifications that come later, and nothing of other places or of damage here', async () => {
    await using stage = await copiesStage();
    await stage.add(1);
    await stage.upload();
    const entry = await stage.catalog.find(backupId(1));
    const at = '2026-01-01T02:00:00.000Z';
    await stage.catalog.addReceipt(entry, { type: 'verified', at, depth: 'content' });
    await stage.catalog.addReceipt(entry, { type: 'damaged', at, message: 'a disk' });
    await stage.catalog.addReceipt(entry, { type: 'removed', at, destination: 'other' });
    await pinBackup({ id: backupId(1), waitMs: 0 }, stage.app, never);
    await stage.upload();
    expect(stage.place.keys().filter((key) => key.includes('receipts'))).toEqual([
      `demo/db/${backupId(1)}/receipts/0002-verified.json`,
      `demo/db/${backupId(1)}/receipts/0005-pinned.json`,
    ]);
  });
});

describe('a backup that is damaged here', () => {
  test.each<[string, (path: string) => Promise<void>]>([
    ['a byte is altered', (path) => writeFile(path, 'Archive')],
    ['it is cut', (path) => truncate(path, 3)],
    ['it is gone', (path) => rm(path)],
  ])('%s: it is marked and not sent, the others are', async (_name, damage) => {
    await using stage = await copiesStage();
    const [first] = await stage.add(1, 2);
    await damage(stage.catalog.path(first ?? { source: 'db', id: backupId(1) }, 'shop.dump.zst'));
    expect(await sent(stage)).toEqual([
      [backupId(1), 'archive-corrupt'],
      [backupId(2), 'ok'],
    ]);
    expect((await stage.receipts(1)).map(({ type }) => type)).toEqual(['damaged']);
    expect(stage.place.keys()).toEqual([OWNER, ...copyKeys(backupId(2))]);
    expect((await readUploadRecord(stage.dir, 's3')).failure?.code).toBe('archive-corrupt');
    // It is not wanted any more, and nothing of it stays behind.
    expect(await sent(stage)).toEqual([]);
    expect(await readPartialCopies(stage.dir, 's3')).toEqual([]);
    expect(await readUploads(stage.dir, 's3')).toEqual([]);
  });

  test('one that retention removes meanwhile is no failure', async () => {
    await using stage = await copiesStage();
    await stage.add(1, 2);
    let isThere = true;
    stage.place.onRequest = async ({ method, key }) => {
      if (isThere && method === 'head' && key.includes(backupId(1))) {
        isThere = false;
        await stage.catalog.remove({ source: 'db', id: backupId(1) });
      }
    };
    expect(await sent(stage)).toEqual([[backupId(2), 'ok']]);
    expect(stage.place.keys()).toEqual([OWNER, ...copyKeys(backupId(2))]);
  });
});

describe('a destination that fails', () => {
  test('is told, delays no other, and catches up', async () => {
    const other = memoryDestination({ name: 'nas' });
    await using stage = await copiesStage({ more: [configured(other)] });
    await stage.add(1);
    stage.place.onRequest = down;
    const { sendings, failures } = await stage.upload();
    expect(sendings.map(({ destination, ok }) => [destination, ok])).toEqual([['nas', true]]);
    expect(failures).toMatchObject([
      { destination: 's3', failure: { code: 'destination-unavailable' } },
    ]);
    expect(await readUploadRecord(stage.dir, 's3')).toMatchObject({
      lastSuccessAt: null,
      failedInRow: 1,
      failuresTotal: { 'destination-unavailable': 1 },
      failure: { code: 'destination-unavailable', message: 'it is down' },
    });
    stage.place.onRequest = () => undefined;
    expect(await sent(stage)).toEqual([[backupId(1), 'ok']]);
    expect(await readUploadRecord(stage.dir, 's3')).toMatchObject({
      failedInRow: 0,
      failure: null,
    });
  });

  test('in the midst: what comes after it is left for the next time, and no part is sent twice', async () => {
    const place = memoryDestination({ partBytes: 2 });
    await using stage = await copiesStage({ place });
    await stage.add(1, 2);
    let parts = 0;
    place.onRequest = ({ method }) => {
      parts += method === 'putPart' ? 1 : 0;
      if (parts === 3) {
        down();
      }
    };
    expect(await sent(stage)).toEqual([[backupId(1), 'destination-unavailable']]);
    expect(place.keys()).toEqual([OWNER]);
    parts = -99;
    const { sendings } = await stage.upload();
    expect(sendings.map(({ bytes }) => bytes)).toEqual([3, SAMPLE_ARCHIVE.storedBytes]);
    expect((await readUploadRecord(stage.dir, 's3')).bytesTotal).toBe(10);
  });

  test('told to stop it leaves all as it is, to be gone on with', async () => {
    const place = memoryDestination({ partBytes: 2 });
    await using stage = await copiesStage({ place });
    await stage.add(1);
    const stopping = new AbortController();
    place.onRequest = ({ method }) => {
      if (method === 'completeFile') {
        stopping.abort(new BackupdError('cancelled', 'told to stop'));
      }
    };
    await expect(stage.upload({}, stopping.signal)).rejects.toMatchObject({ code: 'cancelled' });
    expect(await readUploadRecord(stage.dir, 's3')).toMatchObject({
      failedInRow: 0,
      failuresTotal: {},
      lastAttempt: { finishedAt: null },
    });
    place.onRequest = () => undefined;
    expect((await stage.upload()).sendings.map(({ bytes }) => bytes)).toEqual([0]);
  });

  test('somebody is at work there: locked, and no attempt', async () => {
    await using stage = await copiesStage();
    await stage.add(1);
    await using _lock = await acquireDestinationLock(
      stage.dir,
      's3',
      { command: 'upload', waitMs: 0 },
      never,
    );
    const { failures } = await stage.upload();
    expect(failures).toMatchObject([{ failure: { code: 'locked' } }]);
    expect((await readUploadRecord(stage.dir, 's3')).lastAttempt).toBeNull();
  });
});

test('without a destination there is a hint', async () => {
  await using stage = await copiesStage();
  const context = { ...stage.app.context, destinations: [] };
  const request = { destination: null, takeOver: false, waitMs: 0 };
  await expect(upload(request, { ...stage.app, context }, never)).rejects.toMatchObject({
    code: 'config-invalid',
    hint: expect.stringContaining('BACKUPD_S3_BUCKET') as string,
  });
  await expect(stage.upload({ destination: 's4' })).rejects.toMatchObject({ code: 'usage' });
});

test.each([
  [1_200_000, 1],
  [-1_200_000, 1],
  [60_000, 0],
])('clocks that are %d ms apart are told %d times, and no failure', async (clockAheadMs, times) => {
  await using stage = await copiesStage({
    place: memoryDestination({ facts: { clockAheadMs } }),
  });
  await stage.add(1);
  expect(await sent(stage)).toEqual([[backupId(1), 'ok']]);
  const told = stage.app.events.filter(({ type }) => type === 'clocks-apart');
  expect(told).toHaveLength(times);
});
