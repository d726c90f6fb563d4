import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDaemon, type BackupdOptions, type Daemon } from '../../support/backupd.ts';
import { backupdOf, HALF_BYTES, startStage, type FaultStage } from '../../support/fault-stage.ts';
import { scrape } from '../../support/metrics.ts';
import { docker } from '../../support/run-process.ts';
import { testClock, type TestClock } from '../../support/test-clock.ts';
import { testVolume, type TestVolume } from '../../support/test-container.ts';
import { waitFor } from '../../support/wait-for.ts';

/** Of a second source, whose runs show that the daemon looked at all schedules meanwhile. */
const OFTEN = '*/3 * * * * *';

let stage: FaultStage;

beforeAll(async () => {
  stage = await startStage();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

type Result = 'success' | 'failed' | 'skipped' | 'interrupted';

async function total(daemon: Daemon, source: string, result: Result = 'success'): Promise<number> {
  const metrics = await scrape(daemon);
  return metrics('backupd_backup_runs_total', { source, result }) ?? Number.NaN;
}

async function untilTotal(daemon: Daemon, source: string, least: number): Promise<void> {
  await waitFor(
    `run ${least} of ${source}`,
    async () => (await total(daemon, source)) >= least,
    60_000,
  );
}

/** Waits until every schedule was looked at anew. */
async function untilLookedAt(daemon: Daemon): Promise<void> {
  // The first may have been offered before whatever the test did.
  await untilTotal(daemon, 'often', (await total(daemon, 'often')) + 2);
}

/** Why each backup of a source was made, oldest first. */
async function triggers(daemon: Daemon, source: string): Promise<readonly string[]> {
  const list = await daemon.cli(['list', source, '--json']);
  const ids = (JSON.parse(list.stdout) as { id: string }[]).map(({ id }) => id).toReversed();
  const shown = await Promise.all(ids.map(async (id) => daemon.cli(['show', id, '--json'])));
  return shown.map(({ stdout }) => (JSON.parse(stdout) as { trigger: string }).trigger);
}

/** Of the source `db` every night at two, and of `often`, on a clock. */
function nightly(
  volume: TestVolume,
  clock: TestClock,
  env: Readonly<Record<string, string>> = {},
): BackupdOptions {
  const options = backupdOf(stage, volume, {
    BACKUPD_SCHEDULE: '0 2 * * *',
    BACKUPD_SOURCES: `often=postgres://${stage.server.name}/postgres`,
    BACKUPD_SOURCE_OFTEN_SCHEDULE: OFTEN,
    ...clock.env,
    ...env,
  });
  return { ...options, volumes: [...(options.volumes ?? []), ...clock.volumes] };
}

test('a schedule with seconds runs, and what falls into a run that takes long is skipped and counted', async () => {
  await using volume = await testVolume();
  await using daemon = await startDaemon(backupdOf(stage, volume, { BACKUPD_SCHEDULE: OFTEN }));
  await untilTotal(daemon, 'db', 3);
  expect((await triggers(daemon, 'db')).slice(0, 3)).toEqual(['first', 'schedule', 'schedule']);

  await stage.tool.set(`stall ${HALF_BYTES}`);
  await stage.tool.reached();
  const before = await total(daemon, 'db');
  const running = await scrape(daemon);
  expect(running('backupd_backup_running', { source: 'db' })).toBe(1);
  expect(running('backupd_backup_expected_interval_seconds', { source: 'db' })).toBe(3);
  await waitFor('skipped run', async () => (await total(daemon, 'db', 'skipped')) >= 1);
  expect(await daemon.logs()).toMatch(/"source":"db","reason":"[^"]+","msg":"run skipped"/);
  expect(await total(daemon, 'db')).toBe(before);
  await stage.tool.clear();
  await stage.tool.release();
  await untilTotal(daemon, 'db', before + 2);
  const after = await scrape(daemon);
  expect(after('backupd_backup_runs_total', { source: 'db', result: 'failed' })).toBe(0);
  expect(after('backupd_backup_last_attempt_success', { source: 'db' })).toBe(1);
});

test('a run that was missed is made up for once, where it is not too late, and totals outlive the daemon', async () => {
  await using volume = await testVolume();
  await using clock = await testClock('2026-12-01T01:00:00Z');
  {
    await using daemon = await startDaemon(nightly(volume, clock));
    await untilTotal(daemon, 'db', 1);
    await docker('stop', daemon.name);
    // Three nights are missed; only the last one is less than a day ago.
    await clock.set('2026-12-04T03:00:00Z');
    await docker('start', daemon.name);
    await waitFor('answer from the daemon', async () => (await daemon.get('/healthz')).ok);
    await untilTotal(daemon, 'db', 2);
    await untilLookedAt(daemon);
    expect(await total(daemon, 'db')).toBe(2);
    expect(await triggers(daemon, 'db')).toEqual(['first', 'catch-up']);
  }
  // Another container, which makes up for what is at most an hour late.
  await clock.set('2026-12-05T05:00:00Z');
  await using daemon = await startDaemon(nightly(volume, clock, { BACKUPD_CATCH_UP: '1h' }));
  expect(await total(daemon, 'db')).toBe(2);
  await untilLookedAt(daemon);
  const metrics = await scrape(daemon);
  expect(metrics('backupd_backup_runs_total', { source: 'db', result: 'success' })).toBe(2);
  expect(metrics('backupd_backup_next_run_timestamp_seconds', { source: 'db' })).toBe(
    Date.parse('2026-12-06T02:00:00Z') / 1000,
  );
});

test('a clock that is set back repeats no run, keeps no source from running, and hides no failure', async () => {
  await using volume = await testVolume();
  await using clock = await testClock('2026-12-01T01:00:00Z');
  await using daemon = await startDaemon(nightly(volume, clock));
  await untilTotal(daemon, 'db', 1);
  await clock.set('2026-12-01T01:59:57Z');
  await untilTotal(daemon, 'db', 2);
  expect(await triggers(daemon, 'db')).toEqual(['first', 'schedule']);

  // What is often due goes on at once, though its last run is in the future now.
  await clock.set('2026-12-01T01:59:54Z');
  await untilLookedAt(daemon);
  await waitFor('two o clock for the second time', async () => {
    const metrics = await scrape(daemon);
    const last = metrics('backupd_backup_last_attempt_timestamp_seconds', { source: 'often' });
    return (last ?? 0) >= Date.parse('2026-12-01T02:00:05Z') / 1000;
  });
  expect(await total(daemon, 'db')).toBe(2);

  // A failure is one whatever the clock says of the success before it.
  await clock.set('2026-12-01T01:00:00Z');
  const failed = await daemon.cli(['backup', 'db', '--json', '--wait', '1m'], {
    env: { BACKUPD_SOURCE_DB_USER: 'nobody' },
  });
  expect(failed).toMatchObject({ exitCode: 21 });
  const { stdout } = await daemon.cli(['status', '--json']);
  const { sources, problems } = JSON.parse(stdout) as {
    sources: { source: string; state: string }[];
    problems: { code: string; message: string }[];
  };
  expect(sources.find(({ source }) => source === 'db')).toMatchObject({
    state: 'failed',
    ageSeconds: 0,
  });
  // How old it is nobody can tell.
  expect(problems.map(({ code }) => code)).toContain('clock');

  await clock.set('2026-12-02T02:00:01Z');
  await untilTotal(daemon, 'db', 3);
  await untilLookedAt(daemon);
  expect(await triggers(daemon, 'db')).toEqual(['first', 'schedule', 'schedule']);
});

test('a nightly run that fails for what may pass by itself is tried again, by the next life too', async () => {
  await using volume = await testVolume();
  await using clock = await testClock('2026-12-01T01:00:00Z');
  await using daemon = await startDaemon(nightly(volume, clock));
  await untilTotal(daemon, 'db', 1);
  await stage.tool.set('die');
  await clock.set('2026-12-01T01:59:57Z');
  await waitFor('failure', async () => (await total(daemon, 'db', 'failed')) >= 1, 60_000);
  const { stdout } = await daemon.exec(['cat', '/backups/.backupd/attempts/db.json']);
  const { attempts } = JSON.parse(stdout) as { attempts: { outcome: string; retryAt: string }[] };
  expect(attempts[0]).toMatchObject({ outcome: 'failed' });
  expect(attempts[0]?.retryAt).toMatch(/^2026-12-01T02:01/);

  await stage.tool.clear();
  await docker('kill', daemon.name);
  await clock.set('2026-12-01T02:01:30Z');
  await docker('start', daemon.name);
  await untilTotal(daemon, 'db', 2);
  expect(await triggers(daemon, 'db')).toEqual(['first', 'schedule']);
});
