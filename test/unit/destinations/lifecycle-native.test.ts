import { expect, test } from 'vitest';
import { openBucket } from '../../../src/destinations/s3/bucket.ts';
import { nativeRules } from '../../../src/destinations/s3/lifecycle-native.ts';
import { bucketSettings } from '../../support/s3-server.ts';

test('for Google its own rule is shown, which reaches archives alone', async () => {
  const endpoint = 'https://storage.googleapis.com';
  const settings = bucketSettings({ bucket: 'shop', endpoint });
  const bucket = await openBucket(settings, settings.place);
  const moves = [{ storageClass: 'GLACIER', days: 30 }];
  const told = nativeRules(bucket, 'demo', { moves, expireDays: 90 });
  const [, rules = ''] = /--lifecycle-file": (\{.*\})\.$/.exec(told) ?? [];
  expect(JSON.parse(rules)).toEqual({
    rule: [
      {
        action: { type: 'SetStorageClass', storageClass: 'ARCHIVE' },
        condition: {
          age: 30,
          matchesPrefix: ['backups/demo/'],
          matchesSuffix: expect.not.arrayContaining(['.json']) as unknown,
        },
      },
    ],
  });
  expect(nativeRules(bucket, 'demo', { moves: [], expireDays: 90 })).toContain('no rules by tags');
});
