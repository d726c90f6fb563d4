import { expect, test } from 'vitest';
import { prune } from '../../../src/jobs/prune.ts';
import type { App } from '../../../src/jobs/context.ts';
import { upload } from '../../../src/jobs/upload.ts';
import { copiesStage, type CopiesStage } from '../../support/upload-stage.ts';
import { memoryDestination } from '../../support/memory-destination.ts';
import { backupId } from '../../support/storage.ts';

const never = new AbortController().signal;
const ALL = { destination: null, takeOver: false, waitMs: 0 };
const PRUNE = { source: null, dryRun: false, yes: false, waitMs: 0 };

/** The app of another `/backups` with the same namespace. */
function asOther({ app }: CopiesStage): App {
  const storage = { ...app.context.storage, identity: 'fedcba9876543210' };
  return { ...app, context: { ...app.context, storage } };
}

async function codes(app: App, takeOver = false): Promise<readonly string[]> {
  const { failures, sendings } = await upload({ ...ALL, takeOver }, app, never);
  return [...failures.map(({ failure }) => failure.code), ...sendings.map(({ id }) => id)];
}

test('the first one owns the namespace; another is refused until it takes over, then the first is', async () => {
  const place = memoryDestination();
  await using one = await copiesStage({ place });
  await using two = await copiesStage({ place });
  const other = asOther(two);
  await one.add(1);
  await two.add(2);
  expect(await codes(one.app)).toEqual([backupId(1)]);
  const before = place.keys();

  expect(await codes(other)).toEqual(['locked']);
  const refused = await prune(PRUNE, other, never);
  expect(refused.failures).toMatchObject([
    {
      source: null,
      where: 's3',
      failure: {
        code: 'locked',
        message: expect.stringContaining('namespace "demo" at s3 belongs to') as string,
        hint: expect.stringContaining('backupd upload s3 --take-over') as string,
      },
    },
  ]);
  // The local part is done.
  expect(refused.backups.map(({ where }) => where)).toEqual(['local']);
  expect(place.keys()).toEqual(before);

  expect(await codes(other, true)).toEqual([backupId(2)]);
  expect(await codes(other)).toEqual([]);
  expect(await codes(one.app)).toEqual(['locked']);
});

test('whoever loses the namespace in the midst of an upload ends before the manifest', async () => {
  const place = memoryDestination();
  await using one = await copiesStage({ place });
  await using two = await copiesStage({ place });
  await one.add(1);
  let isTaken = false;
  place.onRequest = async ({ method }) => {
    if (method === 'completeFile' && !isTaken) {
      isTaken = true;
      await upload({ ...ALL, takeOver: true }, asOther(two), never);
    }
  };
  const { sendings } = await one.upload();
  expect(sendings).toMatchObject([{ ok: false, failure: { code: 'locked' } }]);
  expect(place.keys()).not.toContain(`demo/db/${backupId(1)}/manifest.json`);
});

test('of two that come at once exactly one owns it', async () => {
  const place = memoryDestination();
  await using one = await copiesStage({ place });
  await using two = await copiesStage({ place });
  await one.add(1);
  await two.add(2);
  const results = await Promise.all([codes(one.app), codes(asOther(two))]);
  expect(results.flat().filter((code) => code === 'locked')).toHaveLength(1);
});

test('an owner that cannot be read is somebody else', async () => {
  const place = memoryDestination();
  await using one = await copiesStage({ place });
  await one.add(1);
  await place.put('demo/.backupd/owner.json', Buffer.from('{'), { ifAbsent: true }, never);
  expect(await codes(one.app)).toEqual(['locked']);
  expect(await codes(one.app, true)).toEqual([backupId(1)]);
});
