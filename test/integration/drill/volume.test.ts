import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DrillReport } from '../../../src/core/drill.ts';
import type { Job } from '../../../src/core/job.ts';
import { drillSource, type DrillApp } from '../../../src/jobs/drill.ts';
import { upload } from '../../../src/jobs/upload.ts';
import { readDrills, recordDrill } from '../../../src/store/drills.ts';
import { scratchesOf } from '../../support/drills.ts';
import { liveApp, type LiveApp } from '../../support/live-app.ts';
import { otherDisk } from '../../support/other-disk.ts';
import { testVolume, type TestVolume } from '../../support/test-container.ts';
import { inVolume } from '../../support/volume.ts';

const TIMEOUT = { timeout: 300_000 };
/** The secret of nobody here: backups for it cannot be read. */
const RECIPIENT = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p';

let stack: AsyncDisposableStack;
let files: TestVolume;
let live: LiveApp;
let sources: Readonly<Record<string, string>>;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  files = stack.use(await testVolume());
  await inVolume(
    files.name,
    'mkdir pages; echo hello >pages/index.html; ln -s pages/index.html first',
  );
  const nas = stack.use(await otherDisk());
  sources = { files: `volume://${files.name}` };
  live = stack.use(
    await liveApp({
      sources,
      env: { BACKUPD_DESTINATIONS: 'nas', BACKUPD_DEST_NAS_PATH: nas.path, BACKUPD_KEEP: 'all' },
    }),
  );
  await live.backedUp('files');
});

afterAll(async () => {
  await stack.disposeAsync();
});

async function drill(changes: Partial<Job> = {}, app: DrillApp = live.app): Promise<DrillReport> {
  const { job } = await live.find('files');
  return drillSource({ ...job, ...changes }, app, { waitMs: 0 }, AbortSignal.timeout(170_000));
}

async function expectNothingLeft(): Promise<void> {
  const owner = `${live.app.context.storage.identity}/files`;
  expect(scratchesOf(owner)).toEqual([]);
  expect(await live.app.scratches.left(AbortSignal.timeout(60_000))).toEqual([]);
}

test('a volume is restored as it was read, while it is backed up again', TIMEOUT, async () => {
  const [report] = await Promise.all([
    drill({ drillCheck: 'exec: test -s /volume/pages/index.html && test -L /volume/first' }),
    live.backedUp('files'),
  ]);
  expect(report).toMatchObject({
    ok: true,
    integrity: 1,
    checks: [{ ok: true }],
    skipped: null,
    failure: null,
  });
  await expectNothingLeft();
});

test('a check that does not hold fails the drill', TIMEOUT, async () => {
  expect(await drill({ drillCheck: 'exec: echo no such page; exit 3' })).toMatchObject({
    ok: false,
    integrity: 1,
    checks: [{ ok: false, found: 'no such page' }],
    failure: { code: 'verification-failed' },
  });
  await expectNothingLeft();
});

test('too little disk is no verdict', TIMEOUT, async () => {
  const { app, dir } = live;
  const { catalog } = app.context;
  const before = await readDrills(dir, 'files');
  const huge: DrillApp = {
    ...app,
    context: {
      ...app.context,
      catalog: {
        ...catalog,
        async manifest(source, id) {
          const manifest = await catalog.manifest(source, id);
          const files = manifest.files.map((file) => ({ ...file, dumpBytes: 1e15 }));
          return { ...manifest, files };
        },
      },
    },
  };
  const report = await drill({}, huge);
  expect(report).toMatchObject({ ok: false, failure: { code: 'no-space' }, recoveryMs: null });
  expect(report.skipped).toContain('MB');
  expect(await readDrills(dir, 'files')).toEqual({ ...before, last: report });
  await expectNothingLeft();
});

test('a backup whose key is not here is no verdict', TIMEOUT, async () => {
  await using other = await liveApp({ sources, env: { BACKUPD_AGE_RECIPIENTS: RECIPIENT } });
  await other.backedUp('files');
  const { job } = await other.find('files');
  const report = await drillSource(job, other.app, { waitMs: 0 }, AbortSignal.timeout(60_000));
  expect(report).toMatchObject({ ok: false, failure: { code: 'key-missing' }, integrity: null });
  expect(report.skipped).toContain('key');
  expect(await readDrills(other.dir, 'files')).toMatchObject({ lastVerdict: null, verdicts: 0 });
});

test(
  'every fourth time it is the oldest copy off this host, which becomes no backup here',
  TIMEOUT,
  async () => {
    const { app, dir } = live;
    const { context } = app;
    await live.backedUp('files');
    const request = { destination: null, takeOver: false, waitMs: 0 };
    await upload(request, app, AbortSignal.timeout(60_000));
    const oldest = (await context.catalog.entries('files')).at(-1)!.manifest;
    await context.catalog.remove(oldest);
    const before = await drill();
    while ((await readDrills(dir, 'files')).verdicts % 4 !== 3) {
      await recordDrill(dir, before);
    }
    const report = await drill();
    expect(report).toMatchObject({ ok: true, integrity: 1, id: oldest.id, from: 'nas' });
    expect(report.notes.join()).toContain('the oldest backup at nas');
    const ids = (await context.catalog.entries('files')).map(({ manifest }) => manifest.id);
    expect(ids).not.toContain(oldest.id);
    await expectNothingLeft();
    expect(await drill()).toMatchObject({ ok: true, from: null });
  },
);
