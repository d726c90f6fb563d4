import { expect, test } from 'vitest';
import { withKeysOfNow } from '../../../src/config/keys-of-now.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { DestinationSettings } from '../../../src/core/destination-settings.ts';
import { textFiles } from './text-files.ts';

const SETTINGS = {
  BACKUPD_S3_BUCKET: 'shop',
  BACKUPD_S3_ENDPOINT: 'http://minio:9000',
  BACKUPD_S3_ACCESS_KEY_ID: 'key',
  BACKUPD_S3_SECRET_ACCESS_KEY_FILE: '/run/secrets/s3',
};

async function load(secret: string): Promise<DestinationSettings> {
  const { settings } = await loadConfig(SETTINGS, textFiles({ '/run/secrets/s3': secret }));
  const [found] = settings.destinations;
  if (found === undefined) {
    throw new Error('there is no destination');
  }
  return found;
}

function secretOf({ place }: DestinationSettings): string | undefined {
  return place.kind === 's3' ? place.credentials?.secretAccessKey.reveal() : undefined;
}

test('the key is that which its file has now, and all else is as it was', async () => {
  const before = await load('one');
  const files = textFiles({ '/run/secrets/s3': 'two\n' });
  const now = await withKeysOfNow(before, { ...SETTINGS, BACKUPD_S3_BUCKET: 'other' }, files);
  expect([secretOf(before), secretOf(now)]).toEqual(['one', 'two']);
  expect(now).toMatchObject({ place: { bucket: 'shop' } });
});

test.each([
  ['a file that is gone', SETTINGS, {}],
  ['an empty one', SETTINGS, { '/run/secrets/s3': '' }],
  ['a destination that is configured no longer', {}, {}],
])('%s: it stays as it was', async (_name, environment, files) => {
  const before = await load('one');
  expect(await withKeysOfNow(before, environment, textFiles(files))).toBe(before);
});

test('what has no keys of its own is not looked at', async () => {
  const place = { kind: 'directory', path: '/mnt/nas' } as const;
  const before = { ...(await load('one')), place };
  expect(await withKeysOfNow(before, SETTINGS, () => Promise.reject(new Error('read')))).toBe(
    before,
  );
});
