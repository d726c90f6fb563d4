import { describe, expect, test } from 'vitest';
import type { Lifecycle } from '../../../src/core/destination-settings.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import type { RetentionPolicy } from '../../../src/core/job.ts';
import { checkDestination } from '../../../src/jobs/check-destination.ts';
import type { Check } from '../../../src/jobs/check-result.ts';
import { pinBackup } from '../../../src/jobs/pin.ts';
import type { PruneResult } from '../../../src/jobs/prune-result.ts';
import { prune } from '../../../src/jobs/prune.ts';
import { readUploadRecord } from '../../../src/store/upload-record.ts';
import { memoryDestination } from '../../support/memory-destination.ts';
import type { MemoryRequest } from '../../support/memory-store.ts';
import { bucketSettings } from '../../support/s3-server.ts';
import { backupId } from '../../support/storage.ts';
import { copiesStage, copyKeys, type CopiesStage } from '../../support/upload-stage.ts';
import { policy } from '../core/retention-samples.ts';

const never = new AbortController().signal;
const GLACIER = { storageClass: 'GLACIER', days: 30 };
const BOTH: Lifecycle = { moves: [GLACIER], expireDays: 90 };

function change(
  { app }: Pick<CopiesStage, 'app'>,
  to: { readonly keep?: RetentionPolicy; readonly lifecycle?: Lifecycle | null },
): void {
  const settings = app.context.destinations[0]?.settings ?? {};
  const { lifecycle, keep } = to;
  Object.assign(settings, {
    ...(keep === undefined ? {} : { keep }),
    ...(lifecycle === undefined
      ? {}
      : { place: bucketSettings({ bucket: 'shop', endpoint: null, lifecycle }).place }),
  });
}

/** Backups of these hours are at the destination, which keeps the last two from then on. */
async function sentStage(
  hours: readonly number[],
  lifecycle: Lifecycle | null = BOTH,
  place = memoryDestination(),
): Promise<CopiesStage> {
  const stage = await copiesStage({ place });
  change(stage, { keep: { all: true }, lifecycle });
  await stage.add(...hours);
  await stage.upload();
  change(stage, { keep: policy({ last: 2 }) });
  return stage;
}

async function run(stage: CopiesStage, more: { yes?: boolean } = {}): Promise<PruneResult> {
  return prune({ source: null, dryRun: false, yes: false, waitMs: 0, ...more }, stage.app, never);
}

function tags(stage: CopiesStage, hour: number): readonly (string | null)[] {
  return copyKeys(backupId(hour)).map((key) => stage.place.tag(key));
}

function asked(stage: CopiesStage, ...methods: readonly MemoryRequest['method'][]): number {
  return stage.place.requests.filter(({ method }) => methods.includes(method)).length;
}

/** Of the manifest and of the archive. */
const KEPT = [null, 'archive'];
const GIVEN_UP = ['expire', 'expire'];

describe('what the store is to do by itself', () => {
  test('archives have the tag by which they are moved, manifests never; what is given up has the one by which it goes', async () => {
    await using stage = await sentStage([1, 2, 3]);
    expect([1, 2, 3].map((hour) => tags(stage, hour))).toEqual([KEPT, KEPT, KEPT]);
    const { backups } = await run(stage);
    expect([1, 2, 3].map((hour) => tags(stage, hour))).toEqual([GIVEN_UP, KEPT, KEPT]);
    // It is there yet, which the verdict says; nothing was deleted by us.
    const verdict = backups.find(({ id, where }) => where === 's3' && id === backupId(1));
    expect(verdict).toMatchObject({ keep: false, removed: false });
    expect(verdict?.reasons.at(-1)).toMatch(/^the store deletes it from \d{4}-\d\d-\d\d on$/);
    expect(asked(stage, 'remove')).toBe(0);
    expect(stage.place.rules.get('demo')).toEqual(BOTH);
  });

  test('what is given up is no copy to count on, is not lost when it goes, and is told of then', async () => {
    await using stage = await sentStage([1, 2, 3]);
    await run(stage);
    expect((await stage.receipts(1)).map(({ type }) => type)).toEqual(['uploaded', 'removed']);
    expect((await readUploadRecord(stage.dir, 's3')).removedTotal).toEqual({});
    stage.place.expire();
    expect((await stage.upload()).sendings).toEqual([]);
    expect((await stage.receipts(1)).map(({ type }) => type)).toEqual(['uploaded', 'removed']);
    expect(stage.app.events).toContainEqual({
      type: 'backup-removed',
      source: 'db',
      where: 's3',
      id: backupId(1),
    });
    expect((await readUploadRecord(stage.dir, 's3')).removedTotal).toEqual({ db: 1 });
  });

  test('what is known of tags is not asked for again; on a host that knows nothing it is, once', async () => {
    await using stage = await sentStage([1, 2, 3]);
    await run(stage);
    const before = asked(stage, 'readTag', 'writeTag');
    await run(stage);
    expect(asked(stage, 'readTag', 'writeTag')).toBe(before);
    await stage.add(4);
    await stage.upload();
    // Two of the new copy, two of the one that is given up for it.
    expect(asked(stage, 'readTag', 'writeTag')).toBe(before + 4);
    await using other = await copiesStage({ place: stage.place });
    change(other, { keep: policy({ last: 2 }), lifecycle: BOTH });
    await other.upload({ takeOver: true });
    const known = asked(other, 'readTag', 'writeTag');
    await other.upload();
    expect(asked(other, 'readTag', 'writeTag')).toBe(known);
    expect([1, 2, 3, 4].map((hour) => tags(stage, hour))).toEqual([GIVEN_UP, GIVEN_UP, KEPT, KEPT]);
  });

  test('what is kept again, by a rule or a pin, loses the tag', async () => {
    await using stage = await sentStage([1, 2, 3]);
    change(stage, { keep: policy({ last: 1 }) });
    await run(stage);
    expect([1, 2].map((hour) => tags(stage, hour))).toEqual([GIVEN_UP, GIVEN_UP]);
    await pinBackup({ id: backupId(1), waitMs: 0 }, stage.app, never);
    change(stage, { keep: policy({ last: 2 }) });
    await stage.upload();
    expect([1, 2, 3].map((hour) => stage.place.tag(copyKeys(backupId(hour)).at(-1) ?? ''))).toEqual(
      Array.from({ length: 3 }, () => 'archive'),
    );
    expect(stage.place.tag(copyKeys(backupId(1))[0] ?? '')).toBeNull();
    const copies = await Promise.all([1, 2].map((hour) => stage.receipts(hour)));
    expect(
      copies.map((receipts) => receipts.findLast(({ type }) => type !== 'pinned')?.type),
    ).toEqual(['uploaded', 'uploaded']);
    stage.place.expire();
    expect(await stage.upload()).toMatchObject({ sendings: [], failures: [] });
  });

  test('what is known of one bucket is not taken for true of another', async () => {
    await using stage = await sentStage([1, 2, 3]);
    const other = memoryDestination();
    Object.assign(other, { place: 'another bucket' });
    for await (const { key } of stage.place.list('', never)) {
      // Somebody moved it, with tags that are not right.
      await other.put(key, Buffer.from(stage.place.text(key) ?? ''), { ifAbsent: true }, never);
      await other.lifecycle?.writeTag({ key, versionId: null }, 'expire', never);
    }
    Object.assign(stage.app.context.destinations[0] ?? {}, {
      open: async () => Promise.resolve(other),
    });
    await stage.upload();
    other.expire();
    const left = other.keys().filter((key) => key.endsWith('.zst'));
    expect(left).toEqual([2, 3].map((hour) => copyKeys(backupId(hour)).at(-1)));
  });

  test('what is sent again has the tags of what is new', async () => {
    await using stage = await sentStage([1, 2]);
    stage.place.lose(copyKeys(backupId(1)).at(-1) ?? '');
    expect((await stage.upload()).sendings.map(({ id }) => id)).toEqual([backupId(1)]);
    expect(tags(stage, 1)).toEqual(KEPT);
  });

  test('an interruption at any request leaves no tag that is taken for known', async () => {
    for (let request = 1; request <= 2; request += 1) {
      await using stage = await sentStage([1, 2, 3], { moves: [], expireDays: 7 });
      let writes = 0;
      stage.place.onRequest = ({ method }) => {
        writes += method === 'writeTag' ? 1 : 0;
        if (writes === request) {
          throw new BackupdError('destination-unavailable', 'cut off');
        }
      };
      await run(stage);
      stage.place.onRequest = () => undefined;
      // Decided otherwise meanwhile.
      change(stage, { keep: { all: true } });
      await run(stage);
      expect([1, 2, 3].flatMap((hour) => tags(stage, hour))).toEqual(Array(6).fill(null));
    }
  });

  test('a mass removal holds until somebody says yes; what was given up before does not count', async () => {
    await using stage = await sentStage([1, 2, 3, 4, 5, 6]);
    expect((await run(stage)).held).toContainEqual({ source: 'db', where: 's3', count: 4 });
    expect(tags(stage, 1)).toEqual(KEPT);
    await run(stage, { yes: true });
    expect(tags(stage, 1)).toEqual(GIVEN_UP);
    const { held } = await run(stage);
    expect(held.filter(({ where }) => where === 's3')).toEqual([]);
  });

  test('all versions are tagged, and what was deleted leaves none that counts', async () => {
    await using stage = await sentStage(
      [1, 2, 3],
      BOTH,
      memoryDestination({ keepsVersions: true }),
    );
    await run(stage);
    const key = `demo/db/${backupId(1)}/manifest.json`;
    const versions = await Array.fromAsync(stage.place.listVersions(key, never));
    for (const version of versions) {
      expect(await stage.place.lifecycle?.readTag(version, never)).toBe('expire');
    }
    stage.place.expire();
    const { backups } = await run(stage);
    expect(backups.filter(({ where }) => where === 's3').map(({ id }) => id)).toEqual([
      backupId(3),
      backupId(2),
    ]);
  });

  test('without expiry retention removes by itself; without a lifecycle the rules go', async () => {
    await using stage = await sentStage([1, 2, 3], { moves: [GLACIER], expireDays: null });
    await run(stage);
    expect(stage.place.keys()).not.toContain(copyKeys(backupId(1))[0]);
    expect(tags(stage, 2)).toEqual(KEPT);
    change(stage, { lifecycle: null });
    await run(stage);
    expect(stage.place.rules.size).toBe(0);
    const before = asked(stage, 'applyRules', 'readTag', 'writeTag');
    await run(stage);
    expect(asked(stage, 'applyRules', 'readTag', 'writeTag')).toBe(before);
  });

  test('rules are not set before the tags are right', async () => {
    await using stage = await sentStage([1, 2, 3], null);
    change(stage, { lifecycle: BOTH });
    stage.place.onRequest = ({ method }) => {
      if (method === 'writeTag') {
        throw new BackupdError('config-invalid', 'no tags');
      }
    };
    const { failures } = await run(stage);
    expect(failures.map(({ failure }) => failure.message)).toEqual(['no tags']);
    expect(stage.place.rules.size).toBe(0);
  });
});

describe('check', () => {
  async function look({ app }: CopiesStage): Promise<Check | undefined> {
    const [configured] = app.context.destinations;
    const checks =
      configured === undefined ? [] : await checkDestination(configured, app.context, never);
    return checks.find(({ name }) => name === 'lifecycle');
  }

  test('says what is to come, what it costs, and that somebody changed the rules', async () => {
    await using stage = await copiesStage();
    change(stage, { lifecycle: BOTH });
    expect(await look(stage)).toMatchObject({
      ok: true,
      message:
        'the next upload sets its rules; GLACIER bills 90 days at least, so to day 120: what is deleted on day 90 pays 30 of them in vain',
    });
    await stage.upload();
    expect(await look(stage)).toMatchObject({
      ok: true,
      message: expect.stringContaining('as wanted') as unknown,
    });
    stage.place.rules.clear();
    expect(await look(stage)).toMatchObject({ ok: false, message: 'the rules were changed' });
    await stage.upload();
    expect(await look(stage)).toMatchObject({ ok: true });
  });

  test('says that the store cannot do it', async () => {
    await using stage = await copiesStage();
    change(stage, { lifecycle: BOTH });
    stage.place.onRequest = ({ method }) => {
      if (method === 'applyRules') {
        throw new BackupdError('config-invalid', 'InvalidStorageClass', { hint: 'Remove it.' });
      }
    };
    const { retention } = await stage.upload();
    expect(retention.failures).toMatchObject([
      { source: null, failure: { code: 'config-invalid' } },
    ]);
    expect(await look(stage)).toMatchObject({
      ok: false,
      message: 'InvalidStorageClass',
      hint: 'Remove it.',
    });
  });
});
