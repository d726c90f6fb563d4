import { describe, expect, test } from 'vitest';
import { BackupdError } from '../../../src/core/errors.ts';
import type { RetentionPolicy } from '../../../src/core/job.ts';
import { pinBackup, unpinBackup } from '../../../src/jobs/pin.ts';
import { prune, pruneAfterBackup, type PruneRequest } from '../../../src/jobs/prune.ts';
import type { PruneResult } from '../../../src/jobs/prune-result.ts';
import { readUploadRecord } from '../../../src/store/upload-record.ts';
import { copiesStage, copyKeys, type CopiesStage } from '../../support/upload-stage.ts';
import { memoryDestination } from '../../support/memory-destination.ts';
import { backupId, commitBackup, sampleJob } from '../../support/storage.ts';
import { policy } from '../core/retention-samples.ts';

const OWNER = 'demo/.backupd/owner.json';
const never = new AbortController().signal;

async function run(stage: CopiesStage, change: Partial<PruneRequest> = {}): Promise<PruneResult> {
  const request = { source: null, dryRun: false, yes: false, waitMs: 0, ...change };
  return prune(request, stage.app, never);
}

function removedAt(result: PruneResult, where: string): readonly string[] {
  return result.backups
    .filter((verdict) => verdict.where === where && verdict.removed)
    .map(({ id }) => id);
}

function ids(stage: CopiesStage): readonly string[] {
  return stage.place
    .keys()
    .flatMap((key) => (key.endsWith('/manifest.json') ? (key.split('/')[2] ?? []) : []));
}

/** Backups of these hours are at the destination, whose own retention keeps the last two from then on. */
async function sentStage(
  hours: readonly number[],
  place = memoryDestination(),
): Promise<CopiesStage> {
  const settings: { keep: RetentionPolicy } = { keep: { all: true } };
  const stage = await copiesStage({ place, settings });
  for (const hour of hours) {
    await stage.add(hour);
    await stage.upload();
  }
  const [destination] = stage.app.context.destinations;
  Object.assign(destination?.settings ?? {}, { keep: policy({ last: 2 }) });
  return stage;
}

describe('retention at a destination', () => {
  test('goes by its own rules; the copy is known to be gone, and not sent again', async () => {
    await using stage = await sentStage([1, 2, 3]);
    expect(removedAt(await run(stage), 's3')).toEqual([backupId(1)]);
    expect(stage.place.keys()).toEqual([OWNER, ...copyKeys(backupId(2)), ...copyKeys(backupId(3))]);
    expect((await stage.receipts(1)).map(({ type }) => type)).toEqual(['uploaded', 'removed']);
    expect((await stage.upload()).sendings).toEqual([]);
    expect((await readUploadRecord(stage.dir, 's3')).removedTotal).toEqual({ db: 1 });
    expect(stage.app.events).toContainEqual({
      type: 'backup-removed',
      source: 'db',
      where: 's3',
      id: backupId(1),
    });
  });

  test('what was removed there is sent again once somebody pins it', async () => {
    await using stage = await sentStage([1, 2, 3]);
    await run(stage);
    await pinBackup({ id: backupId(1), waitMs: 0 }, stage.app, never);
    expect((await stage.upload()).sendings.map(({ id }) => id)).toEqual([backupId(1)]);
    expect(removedAt(await run(stage), 's3')).toEqual([]);
    await unpinBackup({ id: backupId(1), waitMs: 0 }, stage.app, never);
    expect(removedAt(await run(stage), 's3')).toEqual([backupId(1)]);
  });

  test('a removal here removes nothing there, and one there nothing here', async () => {
    await using stage = await sentStage([1, 2, 3, 4]);
    const result = await run(stage);
    expect(removedAt(result, 'local')).toEqual([backupId(1)]);
    expect(removedAt(result, 's3')).toEqual([backupId(2), backupId(1)]);
    await stage.catalog.remove({ source: 'db', id: backupId(4) });
    await stage.catalog.remove({ source: 'db', id: backupId(3) });
    await run(stage);
    expect(ids(stage)).toEqual([backupId(3), backupId(4)]);
  });

  test('a source of which there are only copies is pruned by name', async () => {
    await using stage = await sentStage([1, 2, 3]);
    const { catalog } = stage;
    for (const hour of [1, 2, 3]) {
      await catalog.remove({ source: 'db', id: backupId(hour) });
    }
    const found = await prune(
      { source: 'db', dryRun: true, yes: false, waitMs: 0 },
      {
        ...stage.app,
        discover: () => Promise.resolve({ sources: [], problems: [], docker: null }),
      },
      never,
    );
    expect(found.backups.map(({ where }) => where)).toEqual(['s3', 's3', 's3']);
    await expect(run(stage, { source: 'web' })).rejects.toMatchObject({ code: 'source-not-found' });
  });

  test('a dry run says the same and removes nothing', async () => {
    await using stage = await sentStage([1, 2, 3]);
    const before = stage.place.keys();
    const { backups } = await run(stage, { dryRun: true });
    expect(backups.filter(({ where }) => where === 's3').map(({ keep }) => keep)).toEqual([
      true,
      true,
      false,
    ]);
    expect(stage.place.keys()).toEqual(before);
  });

  test('a mass removal holds until somebody says yes', async () => {
    await using stage = await sentStage([1, 2, 3, 4, 5, 6]);
    expect((await run(stage)).held).toContainEqual({ source: 'db', where: 's3', count: 4 });
    expect(ids(stage)).toHaveLength(6);
    const { retentionFailure } = await readUploadRecord(stage.dir, 's3');
    expect(retentionFailure?.message).toContain('db: 4 backups');
    expect(removedAt(await run(stage, { yes: true }), 's3')).toHaveLength(4);
  });

  test('what is not of this namespace, or not ours in it, is never touched', async () => {
    await using stage = await sentStage([1, 2, 3]);
    const foreign = [
      `demo/db/${backupId(1)}/NOTES.txt`,
      'demo/db/readme',
      `shop/db/${backupId(1)}/manifest.json`,
      'unrelated',
    ];
    for (const key of foreign) {
      await stage.place.put(key, Buffer.from('x'), { ifAbsent: true }, never);
    }
    await run(stage);
    expect(stage.place.keys()).toEqual(expect.arrayContaining(foreign));
  });

  test('one that is not whole there holds no place, and the last good one stays', async () => {
    await using stage = await sentStage([1, 2, 3]);
    stage.place.lose(`demo/db/${backupId(3)}/shop.dump.zst`);
    stage.place.alter(`demo/db/${backupId(2)}/shop.dump.zst`, 'cut');
    for (const hour of [2, 3]) {
      await stage.catalog.remove({ source: 'db', id: backupId(hour) });
    }
    const { backups } = await run(stage);
    expect(backups.find(({ where, id }) => where === 's3' && id === backupId(1))).toMatchObject({
      keep: true,
      reasons: expect.arrayContaining(['last good backup']) as string[],
    });
  });

  test('with a wrong configuration of the source nothing of it is removed', async () => {
    await using stage = await sentStage([1, 2, 3]);
    const problem = {
      source: 'db',
      option: 'backupd.keep',
      message: 'it is wrong',
      hint: null,
      severity: 'source',
    } as const;
    const app = { ...stage.app, problems: [problem] };
    const request = { source: null, dryRun: false, yes: false, waitMs: 0 };
    const { failures } = await prune(request, app, never);
    expect(failures.map(({ where, failure }) => [where, failure.code])).toEqual([
      ['local', 'config-invalid'],
      ['s3', 'config-invalid'],
    ]);
    expect(ids(stage)).toHaveLength(3);
  });
});

describe('a removal that is cut off', () => {
  test.each([1, 2, 3, 4])(
    'at request %i: what is left is none, and goes with the next',
    async (at) => {
      await using stage = await sentStage([1, 2, 3]);
      await pinBackup({ id: backupId(1), waitMs: 0 }, stage.app, never);
      await stage.upload();
      await unpinBackup({ id: backupId(1), waitMs: 0 }, stage.app, never);
      let removals = 0;
      stage.place.onRequest = ({ method }) => {
        removals += method === 'remove' ? 1 : 0;
        if (removals === at) {
          throw new BackupdError('destination-unavailable', 'it is down');
        }
      };
      const first = await run(stage);
      stage.place.onRequest = () => undefined;
      const wasCutOff = first.failures.length > 0;
      expect(wasCutOff).toBe(at < 4);
      expect(ids(stage).includes(backupId(1))).toBe(at === 1);
      await run(stage);
      expect(stage.place.keys().some((key) => key.includes(backupId(1)))).toBe(false);
      expect((await stage.receipts(1)).filter(({ type }) => type === 'removed')).toHaveLength(1);
    },
  );
});

test('a place that is down fails the first source, and the others are not tried', async () => {
  const settings: { keep: RetentionPolicy } = { keep: { all: true } };
  const jobs = ['db', 'web'].map((source) => sampleJob({ source }));
  await using stage = await copiesStage({ settings, jobs });
  for (const source of ['db', 'web']) {
    for (const hour of [1, 2, 3]) {
      await commitBackup(stage.catalog, { id: backupId(hour), source });
    }
  }
  await stage.upload();
  const [destination] = stage.app.context.destinations;
  Object.assign(destination?.settings ?? {}, { keep: policy({ last: 2 }) });
  let removals = 0;
  stage.place.onRequest = ({ method }) => {
    if (method === 'remove') {
      removals += 1;
      throw new BackupdError('destination-unavailable', 'it is down');
    }
  };
  const { failures } = await run(stage);
  expect(failures).toMatchObject([{ where: 's3', failure: { code: 'destination-unavailable' } }]);
  expect(removals).toBe(1);
  stage.place.onRequest = () => undefined;
  await run(stage);
  expect(ids(stage)).toHaveLength(4);
  expect(ids(stage)).not.toContain(backupId(1));
});

describe('where versions are kept', () => {
  test('all versions go, and no delete marker is left', async () => {
    const place = memoryDestination({ keepsVersions: true });
    await using stage = await sentStage([1, 2, 3], place);
    place.alter(`demo/db/${backupId(1)}/shop.dump.zst`, 'Archive');
    await run(stage);
    const left = await Array.fromAsync(place.listVersions(`demo/db/${backupId(1)}/`, never));
    expect(left).toEqual([]);
  });

  test('what is locked stays whole, and the verdict says until when', async () => {
    const until = '2036-01-01T00:00:00.000Z';
    const place = memoryDestination({ keepsVersions: true, lockedUntil: until });
    await using stage = await sentStage([1, 2, 3], place);
    const before = place.keys();
    const { backups, failures } = await run(stage);
    expect(failures).toEqual([]);
    expect(backups.find(({ where, id }) => where === 's3' && id === backupId(1))).toMatchObject({
      keep: false,
      removed: false,
      reasons: ['nothing keeps it', `manifest.json is locked until ${until}`],
    });
    expect(place.keys()).toEqual(before);
  });

  test('what somebody hid is left to be recovered', async () => {
    const place = memoryDestination({ keepsVersions: true });
    await using stage = await sentStage([1, 2, 3], place);
    for (const key of copyKeys(backupId(1))) {
      place.lose(key);
    }
    expect((await run(stage)).backups.filter(({ where }) => where === 's3')).toHaveLength(2);
    const left = await Array.fromAsync(place.listVersions(`demo/db/${backupId(1)}/`, never));
    expect(left).toHaveLength(4);
  });
});

describe('retention here', () => {
  test('the newest backup that a destination has not yet stays, and no older one', async () => {
    await using stage = await copiesStage({ settings: { keep: { all: true } } });
    await stage.add(1, 2, 3);
    await stage.upload();
    const at = '2026-01-01T04:00:00.000Z';
    for (const hour of [1, 2]) {
      const entry = await stage.catalog.find(backupId(hour));
      await stage.catalog.addReceipt(entry, {
        type: 'lost',
        at,
        destination: 's3',
        message: 'it is missing there',
      });
    }
    const job = sampleJob({ keep: policy({ last: 1 }) });
    const { backups } = await pruneAfterBackup(job, stage.app.context, never);
    expect(backups.map(({ reasons, removed }) => [reasons.at(-1), removed])).toEqual([
      ['last 1', false],
      ['newest not yet at "s3"', false],
      ['nothing keeps it', true],
    ]);
  });

  test('a place that is down for long does not fill the disk', async () => {
    await using stage = await copiesStage({ settings: { keep: { all: true } } });
    const job = sampleJob({ keep: policy({ last: 2 }) });
    await stage.add(1);
    for (const hour of [2, 3, 4, 5, 6]) {
      await stage.add(hour);
      await pruneAfterBackup(job, stage.app.context, never);
    }
    expect(await stage.catalog.entries('db')).toHaveLength(2);
  });
});

test('a prune that meets an upload waits for it, or says who is at work there', async () => {
  await using stage = await sentStage([1, 2, 3]);
  await stage.add(4);
  const sending = Promise.withResolvers<undefined>();
  const begun = Promise.withResolvers<undefined>();
  stage.place.onRequest = async ({ method }) => {
    if (method === 'putPart') {
      begun.resolve(undefined);
      await sending.promise;
    }
  };
  const uploading = stage.upload();
  await begun.promise;
  const refused = await run(stage);
  expect(refused.failures).toMatchObject([{ where: 's3', failure: { code: 'locked' } }]);
  const waiting = run(stage, { waitMs: 20_000 });
  sending.resolve(undefined);
  expect((await uploading).sendings).toMatchObject([{ id: backupId(4), ok: true }]);
  expect((await waiting).failures).toEqual([]);
  expect(ids(stage)).toEqual([backupId(3), backupId(4)]);
});
