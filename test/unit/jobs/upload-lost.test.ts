import { expect, test } from 'vitest';
import { backupId } from '../../support/storage.ts';
import { copiesStage, sent, type CopiesStage } from '../../support/upload-stage.ts';

test.each<[string, string, (stage: CopiesStage, key: string) => void]>([
  [
    'is missing',
    'shop.dump.zst',
    ({ place }, key) => {
      place.lose(key);
    },
  ],
  [
    'is missing',
    'manifest.json',
    ({ place }, key) => {
      place.lose(key);
    },
  ],
  [
    'was altered',
    'shop.dump.zst',
    ({ place }, key) => {
      place.alter(key, 'Archive');
    },
  ],
  [
    'has 3 bytes',
    'shop.dump.zst',
    ({ place }, key) => {
      place.alter(key, 'cut');
    },
  ],
])('a copy that %s: %s', async (message, file, harm) => {
  await using stage = await copiesStage();
  await stage.add(1, 2);
  await stage.upload();
  const before = stage.place.keys();
  const key = `demo/db/${backupId(1)}/${file}`;
  const text = stage.place.text(key);
  harm(stage, key);
  expect(await sent(stage)).toEqual([[backupId(1), 'ok']]);
  const receipts = await stage.receipts(1);
  expect(receipts.map(({ type }) => type)).toEqual(['uploaded', 'lost', 'uploaded']);
  expect(receipts[1]).toMatchObject({ message: expect.stringContaining(message) as string });
  expect(stage.place.keys()).toEqual(before);
  expect(stage.place.text(key)).toBe(text);
  expect(stage.app.events).toContainEqual(
    expect.objectContaining({ type: 'copy-lost', id: backupId(1) }),
  );
  expect(await sent(stage)).toEqual([]);
});

test('another bucket, or an emptied one: said so, and all is sent again', async () => {
  await using stage = await copiesStage();
  await stage.add(1, 2);
  await stage.upload();
  for (const key of stage.place.keys()) {
    stage.place.lose(key);
  }
  expect(await sent(stage)).toEqual([
    [backupId(1), 'ok'],
    [backupId(2), 'ok'],
  ]);
  const receipts = await stage.receipts(1);
  expect(receipts[1]).toMatchObject({
    type: 'lost',
    message: expect.stringContaining('another bucket') as string,
  });
});
