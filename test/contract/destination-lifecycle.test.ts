import {
  DeleteObjectTaggingCommand,
  GetBucketLifecycleConfigurationCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketLifecycleConfigurationCommand,
  PutObjectTaggingCommand,
  type LifecycleRule,
} from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Destination } from '../../src/core/destination.ts';
import type { StoreLifecycle } from '../../src/core/lifecycle.ts';
import { bucketDestination } from '../../src/destinations/s3/s3.ts';
import { bucketSettings, startMinio, startMoto, type S3Server } from '../support/s3-server.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/storage.ts';
import { CALM, fileOf, options, testJournal } from '../support/uploads.ts';

const FOREIGN: LifecycleRule = {
  ID: 'logs & more',
  Status: 'Enabled',
  Filter: { And: { Prefix: 'logs/', Tags: [{ Key: 'kind', Value: 'a<b' }] } },
  Expiration: { Days: 7 },
};
const EXPIRE = { moves: [], expireDays: 90 };
const MOVES = [
  { storageClass: 'GLACIER', days: 30 },
  { storageClass: 'DEEP_ARCHIVE', days: 180 },
];

interface Place {
  readonly bucket: string;
  readonly destination: Destination;
  readonly lifecycle: StoreLifecycle;
}

describe.each([
  ['MinIO', startMinio, {}],
  ['MinIO with versions', startMinio, { versioned: true }],
  ['moto', startMoto, {}],
] as const)('the lifecycle of %s', (title, start, how) => {
  const moves = title === 'moto';
  let server: S3Server;
  let folder: TemporaryFolder;

  beforeAll(async () => {
    folder = await temporaryFolder();
    server = await start();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  async function place(...rules: readonly LifecycleRule[]): Promise<Place> {
    const bucket = await server.createBucket(how);
    const settings = bucketSettings({ bucket, endpoint: server.endpoint });
    const destination = bucketDestination(settings, settings.place);
    if (rules.length > 0) {
      await server.client.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket: bucket,
          LifecycleConfiguration: { Rules: [...rules] },
        }),
      );
    }
    if (destination.lifecycle === null) {
      throw new Error('a bucket has a lifecycle');
    }
    return { bucket, destination, lifecycle: destination.lifecycle };
  }

  async function rulesOf(bucket: string): Promise<readonly LifecycleRule[]> {
    try {
      const command = new GetBucketLifecycleConfigurationCommand({ Bucket: bucket });
      return (await server.client.send(command)).Rules ?? [];
    } catch (error) {
      expect(error).toMatchObject({ name: 'NoSuchLifecycleConfiguration' });
      return [];
    }
  }

  test('rules of ours come and go beside those of others', async () => {
    const { bucket, lifecycle } = await place(FOREIGN);
    const before = await rulesOf(bucket);
    const wanted = { ...EXPIRE, moves: moves ? MOVES : [] };
    expect(await lifecycle.compareRules('demo', wanted, CALM)).toHaveLength(moves ? 2 : 1);
    await lifecycle.applyRules('demo', wanted, CALM);
    await lifecycle.applyRules('demo', wanted, CALM);
    expect(await lifecycle.compareRules('demo', wanted, CALM)).toEqual([]);
    await lifecycle.applyRules('other', EXPIRE, CALM);
    const after = await rulesOf(bucket);
    expect(after.slice(0, 1)).toEqual(before);
    expect(after).toHaveLength(moves ? 4 : 3);
    expect(after.find(({ ID }) => ID?.endsWith('-expire') === true)).toMatchObject({
      Status: 'Enabled',
      Filter: { And: { Prefix: 'backups/demo/', Tags: [{ Key: 'backupd', Value: 'expire' }] } },
      Expiration: { Days: 90 },
    });
    await lifecycle.applyRules('demo', null, CALM);
    await lifecycle.applyRules('other', null, CALM);
    expect(await rulesOf(bucket)).toEqual(before);
  });

  test('that ours were changed is seen; the last ones that go leave none', async () => {
    const { bucket, lifecycle } = await place();
    await lifecycle.applyRules('demo', EXPIRE, CALM);
    const [rule] = await rulesOf(bucket);
    await server.client.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: bucket,
        LifecycleConfiguration: { Rules: [{ ...rule, Status: 'Disabled' }] },
      }),
    );
    expect(await lifecycle.compareRules('demo', EXPIRE, CALM)).toEqual([
      expect.stringContaining('was changed: it is <Rule>'),
    ]);
    await lifecycle.applyRules('demo', EXPIRE, CALM);
    expect(await lifecycle.compareRules('demo', EXPIRE, CALM)).toEqual([]);
    await lifecycle.applyRules('demo', null, CALM);
    expect(await rulesOf(bucket)).toEqual([]);
  });

  test('a tag is set and taken away on one version, and tags of others stay', async () => {
    const { bucket, destination, lifecycle } = await place();
    await lifecycle.applyRules('demo', EXPIRE, CALM);
    const key = 'demo/db/one/shop.dump.zst';
    for (const bytes of [3, 4]) {
      const file = await fileOf(folder.dir, bytes);
      await destination.putFile(
        key,
        file,
        options(testJournal(), () => undefined),
        CALM,
      );
    }
    const versions = await Array.fromAsync(destination.listVersions(key, CALM));
    expect(versions).toHaveLength('versioned' in how ? 2 : 1);
    const [object = { key, versionId: null }] = versions;
    const at = { Bucket: bucket, Key: `backups/${key}` };
    const theirs = { Key: 'cost', Value: 'shop' };
    await server.client.send(new PutObjectTaggingCommand({ ...at, Tagging: { TagSet: [theirs] } }));
    for (const tag of ['archive', 'expire', 'expire', null, null, 'expire'] as const) {
      await lifecycle.writeTag(object, tag, CALM);
      expect(await lifecycle.readTag(object, CALM)).toBe(tag);
      const { TagSet = [] } = await server.client.send(new GetObjectTaggingCommand(at));
      expect(TagSet).toContainEqual(theirs);
      expect(TagSet).toHaveLength(tag === null ? 1 : 2);
    }
    for (const { versionId } of versions.slice(1)) {
      expect(await lifecycle.readTag({ key, versionId }, CALM)).toBeNull();
    }
    // Its last tag goes, too, and one that is gone is fine.
    await server.client.send(new DeleteObjectTaggingCommand(at));
    await lifecycle.writeTag(object, 'expire', CALM);
    await lifecycle.writeTag(object, null, CALM);
    expect(await lifecycle.readTag(object, CALM)).toBeNull();
    const gone = { key: 'demo/db/none/shop.dump.zst', versionId: null };
    await lifecycle.writeTag(gone, 'expire', CALM);
    expect(await lifecycle.readTag(gone, CALM)).toBeNull();
  });

  test('what is locked can be tagged', async () => {
    const bucket = await server.createBucket({ versioned: true, lock: { days: 1 } });
    const settings = bucketSettings({ bucket, endpoint: server.endpoint });
    const destination = bucketDestination(settings, settings.place);
    await destination.put('demo/one', Buffer.from('x'), { ifAbsent: false }, CALM);
    const [object] = await Array.fromAsync(destination.listVersions('demo/one', CALM));
    if (object === undefined) {
      throw new Error('it was put');
    }
    for (const tag of ['expire', null] as const) {
      await destination.lifecycle?.writeTag(object, tag, CALM);
      expect(await destination.lifecycle?.readTag(object, CALM)).toBe(tag);
    }
    expect(await destination.remove('demo/one', object.versionId, CALM)).toMatchObject({
      outcome: 'locked',
    });
  });

  // MinIO says of each object which rule will delete it, and when.
  test.skipIf(moves)('the store means to delete what has the tag, and nothing else', async () => {
    const { bucket, destination, lifecycle } = await place();
    await lifecycle.applyRules('demo', EXPIRE, CALM);
    const file = await fileOf(folder.dir, 5);
    const ends = new Map<string, string | undefined>();
    for (const [key, tag] of [
      ['demo/db/one/manifest.json', null],
      ['demo/db/one/shop.dump.zst', 'archive'],
      ['demo/db/two/manifest.json', 'expire'],
      ['other/db/two/manifest.json', 'expire'],
    ] as const) {
      await destination.putFile(
        key,
        file,
        options(testJournal(), () => undefined),
        CALM,
      );
      await lifecycle.writeTag({ key, versionId: null }, tag, CALM);
      const head = new HeadObjectCommand({ Bucket: bucket, Key: `backups/${key}` });
      ends.set(key, (await server.client.send(head)).Expiration);
    }
    expect([...ends.values()]).toEqual([
      undefined,
      undefined,
      expect.stringMatching(/expiry-date=.*rule-id="backupd-demo-\w+-expire"/),
      undefined,
    ]);
  });

  test.skipIf(moves)('a class that it does not have is an error with its answer', async () => {
    const { bucket, lifecycle } = await place(FOREIGN);
    const before = await rulesOf(bucket);
    await expect(
      lifecycle.applyRules('demo', { ...EXPIRE, moves: MOVES }, CALM),
    ).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining('InvalidStorageClass') as unknown,
      hint: expect.stringContaining('"StorageClass":"GLACIER"') as unknown,
    });
    expect(await rulesOf(bucket)).toEqual(before);
  });

  test.skipIf(moves)('a rule that only MinIO has is not risked', async () => {
    const { bucket, lifecycle } = await place();
    const odd = `<LifecycleConfiguration><Rule><ID>odd</ID><Status>Enabled</Status><Filter><Prefix>x/</Prefix></Filter><DelMarkerExpiration><Days>3</Days></DelMarkerExpiration></Rule></LifecycleConfiguration>`;
    await putRaw(server, bucket, odd);
    await expect(lifecycle.applyRules('demo', EXPIRE, CALM)).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining('Rule/DelMarkerExpiration') as unknown,
    });
    expect(await rulesOf(bucket)).toMatchObject([{ ID: 'odd' }]);
  });
});

/** Rules as the SDK would not write them. */
async function putRaw({ client }: S3Server, bucket: string, xml: string): Promise<void> {
  const command = new PutBucketLifecycleConfigurationCommand({
    Bucket: bucket,
    LifecycleConfiguration: { Rules: [] },
  });
  command.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as { body: unknown; headers: Record<string, string> };
      request.body = xml;
      request.headers['content-md5'] = createHash('md5').update(xml).digest('base64');
      return next(args);
    },
    { step: 'build', priority: 'high' },
  );
  await client.send(command);
}
