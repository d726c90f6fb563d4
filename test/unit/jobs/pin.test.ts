import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isPinned } from '../../../src/core/catalog-entry.ts';
import { pinBackup, unpinBackup } from '../../../src/jobs/pin.ts';
import { sampleApp } from '../../support/app.ts';
import { backupId, commitBackup, emptyCatalog } from '../../support/storage.ts';

test('a pin and an unpin take an id by its beginning, and say it once', async () => {
  await using fixture = await emptyCatalog();
  const { catalog, dir } = fixture;
  const id = backupId(1);
  await commitBackup(catalog, { id });
  const app = sampleApp(fixture);
  for (let round = 0; round < 2; round += 1) {
    expect(await pinBackup('20260101', app)).toEqual({ id, source: 'db', pinned: true });
    expect(isPinned(await catalog.find(id))).toBe(true);
  }
  for (let round = 0; round < 2; round += 1) {
    expect(await unpinBackup(id, app)).toEqual({ id, source: 'db', pinned: false });
    expect(isPinned(await catalog.find(id))).toBe(false);
  }
  expect(await readdir(join(dir, 'db', id, 'receipts'))).toEqual([
    '0001-pinned.json',
    '0002-unpinned.json',
  ]);
  await expect(pinBackup('2027', app)).rejects.toMatchObject({ code: 'backup-not-found' });
});
