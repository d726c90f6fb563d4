import { expect, test } from 'vitest';
import { isDamaged } from '../../../src/core/catalog-entry.ts';
import { lastCopy } from '../../../src/core/copies.ts';
import { CannotDrill, type DrillReport } from '../../../src/core/drill.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import type { Scratches } from '../../../src/core/scratch.ts';
import { drillSource } from '../../../src/jobs/drill.ts';
import { readDrills, recordDrill } from '../../../src/store/drills.ts';
import { drillReport } from '../../support/drill-report.ts';
import { copyStage, keyOf, type CopyStage } from '../../support/copy-stage.ts';
import { NO_SCRATCHES, sampleJob } from '../../support/storage.ts';

const PASSED = drillReport();

/** As the fourth drill, which is the turn of the oldest copy. */
async function drillFourth(
  { dir, app }: CopyStage,
  open: (manifest: Manifest) => ReturnType<Scratches['open']>,
): Promise<DrillReport> {
  for (let number = 0; number < 3; number += 1) {
    await recordDrill(dir, PASSED);
  }
  const scratches: Scratches = { ...NO_SCRATCHES, open: ({ manifest }) => open(manifest) };
  return drillSource(
    sampleJob(),
    { ...app, scratches },
    { waitMs: 0 },
    AbortSignal.timeout(20_000),
  );
}

const WITHOUT_KEY = new CannotDrill('key-missing', 'no key for it');
const FAILED = new BackupdError('restore-failed', 'it ended with 1');

test('an old copy that cannot be tried leaves its turn to the newest backup', async () => {
  await using here = await copyStage();
  const old = await here.add(1);
  const newest = await here.add(2, { isHere: true });
  const report = await drillFourth(here, ({ id }) =>
    Promise.reject(id === old.id ? WITHOUT_KEY : FAILED),
  );
  expect(report).toMatchObject({ id: newest.id, from: null, skipped: null });
  expect(report.notes.join()).toContain('it could not be tried: no key for it');
  expect((await readDrills(here.dir, 'db')).verdicts).toBe(4);
});

test('an old copy that cannot be tried is skipped where there is no other backup', async () => {
  await using here = await copyStage();
  const only = await here.add(1, { isHere: true });
  const report = await drillFourth(here, () => Promise.reject(WITHOUT_KEY));
  expect(report).toMatchObject({ id: only.id, from: 's3', skipped: 'no key for it' });
});

/** Comes up, and is nothing that anything could be restored into. */
const SCRATCH = { source: {}, target: {}, notes: [], explain: () => Promise.resolve(null) };

test.each(['away', 'without room', 'without the archive'])(
  'a copy that cannot be fetched is no verdict: %s',
  async (how) => {
    await using here = await copyStage();
    const { destination, app } = here;
    const old = await here.add(1);
    if (how === 'without the archive') {
      destination.onRequest = ({ method }) => {
        if (method === 'read') {
          destination.lose(keyOf(old));
        }
      };
    } else if (how === 'away') {
      destination.onRequest = ({ method }) => {
        if (method === 'read') {
          throw new BackupdError('destination-unavailable', 'reset');
        }
      };
    } else {
      const full = { freeBytes: 0, sizeBytes: 1 };
      Object.assign(app.context.storage, { space: () => Promise.resolve(full) });
    }
    const report = await drillFourth(here, () => Promise.resolve(SCRATCH as never));
    expect(report).toMatchObject({ id: old.id, from: 's3' });
    expect(report.skipped).not.toBeNull();
    expect((await readDrills(here.dir, 'db')).verdicts).toBe(3);
  },
);

test('nothing is asked back from an archive: the oldest copy that can be read is drilled, else what is here', async () => {
  await using here = await copyStage();
  const { destination } = here;
  const archived = await here.add(1);
  const readable = await here.add(2);
  const newest = await here.add(3, { isHere: true });
  destination.archive(keyOf(archived));
  const first = await drillFourth(here, () => Promise.reject(FAILED));
  expect(first).toMatchObject({ id: readable.id, from: 's3' });

  for (const one of [readable, newest]) {
    destination.archive(keyOf(one));
  }
  const second = await drillFourth(here, () => Promise.reject(FAILED));
  expect(second).toMatchObject({ id: newest.id, from: null });
  expect(second.notes.join()).toContain('s3 has no backup of it that can be read at once');
  expect(destination.requests.map(({ method }) => method)).not.toContain('retrieve');
});

test('a copy that is found altered is lost, so that it is sent again, and what is here is not', async () => {
  await using here = await copyStage();
  const old = await here.add(1, { isHere: true, bytes: 100 });
  here.destination.alter(keyOf(old), Buffer.alloc(100));
  const report = await drillFourth(here, () => Promise.resolve(SCRATCH as never));
  expect(report).toMatchObject({ skipped: null, failure: { code: 'archive-corrupt' } });
  const entry = await here.app.context.catalog.find(old.id);
  expect(lastCopy(entry, 's3')).toMatchObject({ type: 'lost', message: report.failure?.message });
  expect(isDamaged(entry)).toBe(false);
});

test('a backup here that is found damaged is not good any more', async () => {
  await using here = await copyStage();
  const { id } = await here.add(1, { isHere: true });
  const damaged = new BackupdError('archive-corrupt', 'SHA-256 differs');
  const restorer = { preflight: () => Promise.reject(damaged) };
  const scratches: Scratches = {
    ...NO_SCRATCHES,
    open: () => Promise.resolve({ ...SCRATCH, source: { restorer } } as never),
  };
  const never = AbortSignal.timeout(20_000);
  const report = await drillSource(sampleJob(), { ...here.app, scratches }, { waitMs: 0 }, never);
  expect(report).toMatchObject({ from: null, skipped: null, failure: { code: 'archive-corrupt' } });
  const entry = await here.app.context.catalog.find(id);
  expect(isDamaged(entry)).toBe(true);
  expect(lastCopy(entry, 's3')).toBeNull();
});
