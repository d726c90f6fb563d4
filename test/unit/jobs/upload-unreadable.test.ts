import { join } from 'node:path';
import { expect, test } from 'vitest';
import { recordSource } from '../../../src/store/known-sources.ts';
import { readUploadRecord } from '../../../src/store/upload-record.ts';
import { backupId, commitBackup } from '../../support/storage.ts';
import { notRoot, unreadable } from '../../support/unreadable.ts';
import { copiesStage } from '../../support/upload-stage.ts';
import { boundSource } from '../cli/paper-source.ts';

test('a source which cannot be read is a failure, and the others are sent', async () => {
  using _user = notRoot();
  await using stage = await copiesStage();
  await stage.add(1);
  await commitBackup(stage.app.context.catalog, { id: backupId(2), source: 'web' });
  await recordSource(stage.dir, boundSource('db').job);
  await using _folder = await unreadable(join(stage.dir, 'db'));
  const { sendings, failures } = await stage.upload();
  expect(sendings.map(({ id, ok }) => [id, ok])).toEqual([[backupId(2), true]]);
  expect(failures.map(({ failure }) => failure.code)).toEqual(['storage-unavailable']);
  expect(await readUploadRecord(stage.dir, 's3')).toMatchObject({
    lastSuccessAt: null,
    failure: { code: 'storage-unavailable' },
  });
});
