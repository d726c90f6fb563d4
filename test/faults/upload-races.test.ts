import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseManifest } from '../../src/core/manifest.ts';
import { prune } from '../../src/jobs/prune.ts';
import { upload } from '../../src/jobs/upload.ts';
import { readPartialCopies } from '../../src/store/partial-copies.ts';
import { readUploads } from '../../src/store/upload-journals.ts';
import { sampleApp } from '../support/app.ts';
import { containing, having } from '../support/matchers.ts';
import { openStore, type OffSiteStage, type Store } from '../support/off-site-stage.ts';
import type { ProcessResult } from '../support/run-process.ts';
import type { Operation } from '../support/s3-proxy.ts';
import { backupId, sampleJob } from '../support/storage.ts';
import { configured } from '../support/upload-stage.ts';
import { CALM, MIB } from '../support/uploads.ts';
import { waitFor } from '../support/wait-for.ts';

/** Two parts. */
const FILE_BYTES = 20 * MIB;
const KEEP_LAST = { BACKUPD_KEEP: 'last=1', BACKUPD_S3_KEEP: 'last=1' };

let store: Store;

beforeAll(async () => {
  store = await openStore();
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
});
beforeEach(() => {
  store.proxy.calm();
  store.proxy.forget();
});

/** Holds requests of this kind until all is calm; returns when one is held. */
async function whileHeld(operation: Operation, begin: () => Promise<ProcessResult>): Promise<Held> {
  store.proxy.forget();
  store.proxy.disturb({ operation }, 'hold');
  const ending = begin();
  await waitFor(`held ${operation}`, () =>
    store.proxy.seen.some((request) => request.operation === operation),
  );
  return {
    async release() {
      store.proxy.calm();
      return ending;
    },
  };
}

interface Held {
  /** @returns how that ended which was held */
  release(): Promise<ProcessResult>;
}

/** Ids of the copies that are there; every object but the owner's is of one of them, and every one is whole. */
async function wholeCopies(stage: OffSiteStage): Promise<readonly string[]> {
  const { destination } = stage;
  const all = await stage.keys();
  const expected = ['demo/.backupd/owner.json'];
  const ids: string[] = [];
  for (const key of all.filter((one) => one.endsWith('/manifest.json'))) {
    const text = String(await destination.get(key, null, CALM));
    const { id, files } = parseManifest(text, key);
    ids.push(id);
    expected.push(key);
    for (const { name, storedBytes, sha256 } of files) {
      const file = `demo/db/${id}/${name}`;
      expect(await destination.head(file, null, CALM)).toMatchObject({
        bytes: storedBytes,
        sha256,
      });
      expected.push(file);
    }
  }
  expect(all).toEqual(expected.toSorted());
  return ids;
}

interface Verdict {
  readonly id: string | null;
  readonly where: string;
  readonly removed: boolean;
  readonly error: { readonly code: string; readonly message: string } | null;
}

function verdictsOf({ stdout }: ProcessResult, place: string): readonly Verdict[] {
  return (JSON.parse(stdout) as readonly Verdict[]).filter(({ where }) => where === place);
}

function idsWith(verdicts: readonly Verdict[]): readonly unknown[] {
  return verdicts.map(({ id, removed }) => [id, removed]);
}

test('a backup that is pruned here while it is sent leaves nothing there, and nobody calls it sent', async () => {
  await using stage = await store.stage();
  const { box } = stage;
  await stage.add(1, FILE_BYTES);
  await stage.add(2, FILE_BYTES);
  const sending = await whileHeld('UploadPart', () => box.backupd(['upload', '--json']));
  const pruned = await box.backupd(['prune', '--json'], { env: KEEP_LAST });
  expect(pruned.exitCode).toBe(11);
  expect(idsWith(verdictsOf(pruned, 'local'))).toEqual([
    [backupId(2), false],
    [backupId(1), true],
  ]);
  expect(verdictsOf(pruned, 's3')).toEqual([
    having({ id: null, removed: false, error: having({ code: 'locked' }) }),
  ]);

  const sent = await sending.release();
  expect(sent.exitCode, sent.stdout + sent.stderr).toBe(0);
  expect(JSON.parse(sent.stdout)).toEqual([having({ id: backupId(2), ok: true })]);
  expect(await wholeCopies(stage)).toEqual([backupId(2)]);
  expect(await box.json(['list', '--from', 's3'])).toEqual([having({ id: backupId(2) })]);
  expect(await readPartialCopies(box.dir, 's3')).toEqual([]);
  expect(await readUploads(box.dir, 's3')).toEqual([]);
  expect(await Array.fromAsync(stage.destination.listUploads('demo/', CALM))).toEqual([]);
});

test('a prune there waits for an upload of another process, and removes nothing of it', async () => {
  await using stage = await store.stage();
  const { box } = stage;
  await stage.add(1);
  await stage.add(2);
  await box.json(['upload']);
  await stage.add(3, FILE_BYTES);
  const sending = await whileHeld('UploadPart', () => box.backupd(['upload', '--json']));
  const refused = await box.backupd(['prune', '--json'], { env: { BACKUPD_S3_KEEP: 'last=1' } });
  expect(refused.exitCode).toBe(11);
  expect(verdictsOf(refused, 's3')).toEqual([
    having({ error: having({ code: 'locked', message: containing('upload') }) }),
  ]);
  const waiting = box.backupd(['prune', '--json', '--wait', '2m'], { env: KEEP_LAST });
  const sent = await sending.release();
  expect(JSON.parse(sent.stdout)).toEqual([having({ id: backupId(3), ok: true })]);
  const pruned = await waiting;
  expect(pruned.exitCode, pruned.stdout).toBe(0);
  expect(idsWith(verdictsOf(pruned, 's3'))).toEqual([
    [backupId(3), false],
    [backupId(2), true],
    [backupId(1), true],
  ]);
  expect(await wholeCopies(stage)).toEqual([backupId(3)]);
});

test('an upload does not begin while a prune removes, and one that waits sends all', async () => {
  await using stage = await store.stage();
  const { box } = stage;
  await stage.add(1);
  await stage.add(2);
  await box.json(['upload']);
  await stage.add(3, FILE_BYTES);
  const env = { BACKUPD_S3_KEEP: 'last=1' };
  const pruning = await whileHeld('DeleteObject', () => box.backupd(['prune', '--json'], { env }));
  const refused = await box.backupd(['upload', '--json']);
  expect(refused.exitCode).toBe(11);
  expect(JSON.parse(refused.stdout)).toEqual([
    having({
      id: null,
      ok: false,
      error: having({ code: 'locked', message: containing('prune') }),
    }),
  ]);
  const waiting = box.backupd(['upload', '--json', '--wait', '2m']);
  const pruned = await pruning.release();
  expect(idsWith(verdictsOf(pruned, 's3'))).toEqual([
    [backupId(2), false],
    [backupId(1), true],
  ]);
  const sent = await waiting;
  expect(JSON.parse(sent.stdout)).toEqual([having({ id: backupId(3), ok: true })]);
  expect(await wholeCopies(stage)).toEqual([backupId(2), backupId(3)]);
  // What retention gave up there is not sent again, though it is here.
  expect(await box.json(['upload'])).toEqual([]);
});

test('both in one process come one after the other', async () => {
  await using stage = await store.stage();
  const { catalog, destination, box } = stage;
  for (const hour of [1, 2, 3, 4]) {
    await stage.add(hour, FILE_BYTES);
  }
  // It keeps its last three.
  const app = sampleApp({
    dir: box.dir,
    catalog,
    jobs: [sampleJob()],
    destinations: [configured(destination)],
  });
  const [{ sendings }, { failures }] = await Promise.all([
    upload({ destination: null, takeOver: false, waitMs: 60_000 }, app, CALM),
    prune({ source: null, dryRun: false, yes: false, waitMs: 60_000 }, app, CALM),
  ]);
  expect(failures).toEqual([]);
  expect(sendings.filter(({ ok }) => !ok)).toEqual([]);
  const ids = [backupId(2), backupId(3), backupId(4)];
  expect(await wholeCopies(stage)).toEqual(ids);
  const here = await catalog.entries('db');
  expect(here.map(({ manifest }) => manifest.id)).toEqual(ids.toReversed());
  expect(await readPartialCopies(box.dir, 's3')).toEqual([]);
});
