import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DrillReport } from '../../../src/core/drill.ts';
import type { Job } from '../../../src/core/job.ts';
import { drillSource } from '../../../src/jobs/drill.ts';
import { readDrills } from '../../../src/store/drills.ts';
import { liveApp, type LiveApp } from '../../support/live-app.ts';
import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { docker } from '../../support/run-process.ts';
import { SAMPLE_SQL } from '../../support/restore-stage.ts';
import { scratchesOf, whenReached } from '../../support/drills.ts';

let server: Postgres;
let live: LiveApp;

beforeAll(async () => {
  server = await startPostgres({ env: { POSTGRES_USER: 'boss' } });
  await server.sql(SAMPLE_SQL);
  live = await liveApp({ sources: { db: `postgres://${server.name}/shop,crm` } });
  await live.backedUp('db');
});

afterAll(async () => {
  await live[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function drill(changes: Partial<Job> = {}): Promise<DrillReport> {
  const { job } = await live.find('db');
  return drillSource({ ...job, ...changes }, live.app, { waitMs: 0 }, AbortSignal.timeout(170_000));
}

function owner(): string {
  return `${live.app.context.storage.identity}/db`;
}

test('what was dumped is what is restored, in a container that reaches nothing, and nothing is left', async () => {
  let inspected = '';
  using _look = whenReached('drill-compared', () => {
    const [container = ''] = scratchesOf(owner());
    inspected = execFileSync('docker', ['inspect', container], { encoding: 'utf8' });
  });
  const activity = await server.sql(
    'select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables',
  );
  const since = Date.now() / 1000;
  const report = await drill({ drillCheck: 'shop: select count(*) > 1000 from orders' });
  const range = ['--since', `${since}`, '--until', `${Date.now() / 1000}`];
  const events = await docker('events', ...range, '--filter', `label=backupd-scratch=${owner()}`);
  expect(events).toContain('exec_create');
  expect(report).toMatchObject({
    ok: true,
    integrity: 1,
    differences: [],
    failure: null,
    skipped: null,
    checks: [{ ok: true, found: 't' }],
  });
  expect(report.recoveryMs).toBeGreaterThan(0);
  const [scratch] = JSON.parse(inspected) as {
    Config: { Env: string[]; Labels: Record<string, string> };
    HostConfig: Record<string, unknown>;
    NetworkSettings: { Ports: object };
  }[];
  expect(scratch?.HostConfig).toMatchObject({
    NetworkMode: 'none',
    PortBindings: {},
    RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
    Tmpfs: { '/docker-entrypoint-initdb.d': 'size=64k' },
  });
  expect(scratch?.HostConfig['Memory']).toBeGreaterThan(0);
  expect(scratch?.HostConfig['NanoCpus']).toBeGreaterThan(0);
  expect(scratch?.NetworkSettings.Ports).toEqual({});
  expect(scratch?.Config.Labels).toMatchObject({ 'backupd.enable': 'false' });
  const password = scratch?.Config.Env.find((one) => one.startsWith('POSTGRES_PASSWORD='));
  expect(password?.length).toBeGreaterThan(30);
  expect(events).not.toContain(password?.split('=', 2)[1]);
  // The one of the source is \`test\`: that of the scratch is its own.
  expect(scratch?.Config.Env).not.toContain('POSTGRES_PASSWORD=test');
  expect(scratchesOf(owner())).toEqual([]);
  expect(
    await server.sql('select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables'),
  ).toBe(activity);
  const [entry] = await live.app.context.catalog.entries('db');
  expect(entry?.receipts).toMatchObject([{ type: 'drilled', ok: true, integrity: 1 }]);
});

test('a row that is gone in what was restored is found, by its table and both numbers', async () => {
  using _loss = whenReached('scratch-loaded', () => {
    const [container = ''] = scratchesOf(owner());
    const script = String.raw`
      for each in $(psql -U boss -d postgres -XAtc "select datname from pg_database where datname like 'backupd\_%'"); do
        psql -U boss -d "$each" -Xc 'delete from lines where order_id = 7' || true
      done`;
    execFileSync('docker', ['exec', container, 'sh', '-c', script]);
  });
  const report = await drill();
  expect(report).toMatchObject({
    ok: false,
    skipped: null,
    differences: [{ database: 'shop', what: 'rows of public.lines', expected: 2000, actual: 1999 }],
    failure: {
      code: 'verification-failed',
      message: expect.stringContaining('public.lines') as string,
    },
  });
  expect(report.integrity).toBeGreaterThan(0.8);
  expect(report.integrity).toBeLessThan(1);
  expect(scratchesOf(owner())).toEqual([]);
});

describe('the check of the user', () => {
  test('fails the drill where it says no', async () => {
    expect(
      await drill({ drillCheck: 'shop: select count(*) from orders where id < 0' }),
    ).toMatchObject({
      ok: false,
      integrity: 1,
      checks: [{ ok: false, found: '0' }],
      failure: { code: 'verification-failed' },
    });
  });

  test('fails the drill where its command does', async () => {
    expect(
      await drill({ drillCheck: 'exec: psql -U boss -d shop -c "select 1 from nothing"' }),
    ).toMatchObject({
      ok: false,
      integrity: 1,
      checks: [{ ok: false, found: expect.stringContaining('nothing') as string }],
    });
  });
});

test('what cannot be tried is skipped, says why, and moves no verdict', async () => {
  const { dir, app } = live;
  const before = await readDrills(dir, 'db');
  const [entry] = await app.context.catalog.entries('db');
  const target = {
    container: 'gone',
    image: 'gone:1',
    imageId: `sha256:${'0'.repeat(64)}`,
    repoDigests: [],
  };
  const manifest = await app.context.catalog.manifest('db', entry!.manifest.id);
  function appWith(facts: Partial<typeof manifest.facts>): typeof app {
    const changed = { ...manifest, target, facts: { ...manifest.facts, ...facts } };
    const catalog = { ...app.context.catalog, manifest: () => Promise.resolve(changed) };
    return { ...app, context: { ...app.context, catalog } };
  }
  const other = appWith({});
  const { job } = await live.find('db');
  const gone = { ...job, target: { by: 'name', container: 'backupd-test-gone' } as const };
  const report = await drillSource(gone, other, { waitMs: 0 }, AbortSignal.timeout(60_000));
  expect(report).toMatchObject({
    ok: false,
    integrity: null,
    skipped: expect.stringContaining('gone:1') as string,
    failure: { code: 'target-unavailable' },
  });
  expect(await readDrills(dir, 'db')).toMatchObject({
    last: { skipped: report.skipped },
    lastVerdict: before.lastVerdict,
    verdicts: before.verdicts,
  });

  // The image that its container has now is of the same server: it stands for the other, and that is said.
  const stood = await drillSource(job, other, { waitMs: 0 }, AbortSignal.timeout(170_000));
  expect(stood).toMatchObject({ ok: true, integrity: 1 });
  expect(stood.notes.join()).toContain('is gone: the one that its container has now was taken');

  // Not for one that is newer.
  const newer = appWith({ serverVersion: '99.1' });
  const refused = await drillSource(job, newer, { waitMs: 0 }, AbortSignal.timeout(170_000));
  expect(refused).toMatchObject({ ok: false, failure: { code: 'target-unavailable' } });
  expect(refused.skipped).toContain('for 99.1');
  expect(scratchesOf(owner())).toEqual([]);
});

test('a scratch that somebody ends while it is loaded is no verdict on the backup', async () => {
  const before = await readDrills(live.dir, 'db');
  using _stop = whenReached('beside-created', () => {
    const [container = ''] = scratchesOf(owner());
    execFileSync('docker', ['kill', container]);
  });
  const report = await drill();
  expect(report).toMatchObject({ ok: false, failure: { code: 'target-unavailable' } });
  expect(report.skipped).toContain('was stopped while it was used');
  expect((await readDrills(live.dir, 'db')).verdicts).toBe(before.verdicts);
  expect(scratchesOf(owner())).toEqual([]);
});

test('a backup that retention removes meanwhile is held to the end of its drill', async () => {
  const { id } = await live.backedUp('db');
  let removed = false;
  using _retention = whenReached('scratch-started', () => {
    rmSync(join(live.dir, 'db', id), { recursive: true });
    removed = true;
  });
  expect(await drill()).toMatchObject({ id, ok: true, integrity: 1, skipped: null });
  expect(removed).toBe(true);
  expect(readdirSync(join(live.dir, '.backupd/drilling'))).toEqual([]);
});

test('what another instance made is spared', async () => {
  const label = 'backupd-scratch=ffffffffffffffff/db';
  const container = await docker(
    'create',
    '--label',
    label,
    '--label',
    'backupd-test=1',
    'postgres:17',
  );
  try {
    await live.app.scratches.sweep('db', AbortSignal.timeout(60_000));
    expect(scratchesOf('ffffffffffffffff/db')).toHaveLength(1);
  } finally {
    await docker('rm', '--force', '--volumes', container);
  }
});
