import { afterAll, beforeAll, expect, test } from 'vitest';
import { readPartialCopies } from '../../src/store/partial-copies.ts';
import { openStore, type OffSiteStage, type Store } from '../support/off-site-stage.ts';
import { backupId } from '../support/storage.ts';

let store: Store;
let stage: OffSiteStage;

beforeAll(async () => {
  store = await openStore();
  stage = await store.stage({ bucket: { versioned: true } });
  for (const hour of [1, 2, 3, 4]) {
    await stage.add(hour);
  }
  await stage.box.json(['upload']);
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
});

/** Removes the oldest of those that are there. */
const STEPS = [
  { at: 'removal-recorded', left: 3, isThere: true },
  { at: 'remote-manifest-removed', left: 2, isThere: false },
  { at: 'copy-removed', left: 1, isThere: false },
];

test.each(STEPS)('a prune that is killed at $at is finished by the next one', async (step) => {
  const { at, left, isThere } = step;
  const id = backupId(4 - left);
  const env = { BACKUPD_S3_KEEP: `last=${left}` };
  const died = await stage.box.backupd(['prune'], { killAt: at, env });
  expect(died.exitCode).toBe(137);
  const listed = await stage.box.json<readonly { id: string }[]>(['list', '--from', 's3']);
  expect(listed.some((backup) => backup.id === id)).toBe(isThere);
  const next = await stage.box.backupd(['prune', '--json'], { env });
  expect(next.exitCode).toBe(0);
  const versions = stage.destination.listVersions(`demo/db/${id}/`, AbortSignal.timeout(30_000));
  expect(await Array.fromAsync(versions)).toEqual([]);
  const { receipts } = await stage.catalog.find(id);
  expect(receipts.at(-1)?.type).toBe('removed');
  expect(await readPartialCopies(stage.box.dir, 's3')).toEqual([]);
  expect(await stage.keys()).toHaveLength(1 + 2 * left);
});
