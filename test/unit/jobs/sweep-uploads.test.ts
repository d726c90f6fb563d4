import { describe, expect, test } from 'vitest';
import { BackupdError } from '../../../src/core/errors.ts';
import { readPartialCopies } from '../../../src/store/partial-copies.ts';
import { copiesStage, copyKeys } from '../../support/upload-stage.ts';
import { memoryDestination } from '../../support/memory-destination.ts';
import { backupId } from '../../support/storage.ts';

const OWNER = 'demo/.backupd/owner.json';
const never = new AbortController().signal;

function down(): never {
  throw new BackupdError('destination-unavailable', 'it is down');
}

describe('what was begun and is not wanted', () => {
  test('is removed, but nothing that is not ours', async () => {
    const place = memoryDestination({ partBytes: 2 });
    await using stage = await copiesStage({ place });
    await stage.add(1);
    place.onRequest = ({ method }) => {
      if (method === 'put' && stage.place.keys().some((key) => key.endsWith('.zst'))) {
        down();
      }
    };
    await stage.upload();
    place.onRequest = () => undefined;
    expect(place.keys()).toContain(`demo/db/${backupId(1)}/shop.dump.zst`);
    await place.put(`demo/db/${backupId(1)}/NOTES`, Buffer.from('mine'), { ifAbsent: true }, never);
    await stage.catalog.remove({ source: 'db', id: backupId(1) });
    await stage.add(2);
    await stage.upload();
    expect(place.keys()).toEqual([OWNER, `demo/db/${backupId(1)}/NOTES`, ...copyKeys(backupId(2))]);
    expect(await readPartialCopies(stage.dir, 's3')).toEqual([]);
  });

  test('is removed by the very upload in which its backup was removed here', async () => {
    await using stage = await copiesStage();
    await stage.add(1, 2);
    stage.place.onRequest = async ({ method, key }) => {
      if (method === 'completeFile' && key.includes(backupId(1))) {
        await stage.catalog.remove({ source: 'db', id: backupId(1) });
      }
    };
    const { sendings } = await stage.upload();
    expect(sendings.map(({ id, ok }) => [id, ok])).toEqual([[backupId(2), true]]);
    expect(stage.place.keys()).toEqual([OWNER, ...copyKeys(backupId(2))]);
    expect(await readPartialCopies(stage.dir, 's3')).toEqual([]);
  });

  test('uploads of ours that nobody knows are ended after a day, others never', async () => {
    await using stage = await copiesStage();
    await stage.add(1);
    const old = new Date(Date.now() - 90_000_000).toISOString();
    const key = `demo/db/${backupId(9)}/shop.dump.zst`;
    stage.place.beginUpload(key, old);
    const kept = [
      stage.place.beginUpload(key, new Date().toISOString()),
      stage.place.beginUpload('demo/other', old),
      stage.place.beginUpload(`demo/db/${backupId(9)}/notes/one`, old),
      stage.place.beginUpload(`shop/db/${backupId(9)}/shop.dump.zst`, old),
    ];
    await stage.upload();
    const left = await Array.fromAsync(stage.place.listUploads('', never));
    expect(left.map(({ uploadId }) => uploadId)).toEqual(kept);
  });

  test('a store that tells of exact keys only is asked for those that were pending', async () => {
    const place = memoryDestination({ listsUploadsOfKeysOnly: true });
    await using stage = await copiesStage({ place });
    await stage.add(1);
    const key = `demo/db/${backupId(1)}/shop.dump.zst`;
    place.beginUpload(key, new Date(Date.now() - 90_000_000).toISOString());
    const kept = place.beginUpload(key, new Date().toISOString());
    await stage.upload();
    const left = await Array.fromAsync(place.listUploads(key, never));
    expect(left.map(({ uploadId }) => uploadId)).toEqual([kept]);
  });
});
