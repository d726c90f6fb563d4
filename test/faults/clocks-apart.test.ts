import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { having, matching } from '../support/matchers.ts';
import { openStore, type OffSiteStage, type Store } from '../support/off-site-stage.ts';
import { backupId } from '../support/storage.ts';

const APART_MS = 20 * 60_000;
/** As on a host whose clock is wrong. */
const WRONG = { NODE_OPTIONS: '--import /faults/clock.ts', CLOCK_FILE: '/backups/.clock' };
/** With both times. */
const APART =
  /the clocks are (?:20m|19m 5\ds|20m \ds) apart: here it is (20[\dT:-]+Z), there (20[\dT:-]+Z)$/;

let store: Store;
let stage: OffSiteStage;

beforeAll(async () => {
  store = await openStore();
  stage = await store.stage();
  await stage.add(1);
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
});
beforeEach(() => {
  store.proxy.calm();
  store.proxy.forget();
});

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
  readonly hint: string;
}

async function checks(env: Readonly<Record<string, string>> = {}): Promise<readonly Check[]> {
  const { exitCode, stdout } = await stage.box.backupd(['check', '--json'], { env });
  expect(exitCode).toBe(4);
  const found = JSON.parse(stdout) as { checks: readonly (Check & { subject: string })[] };
  return found.checks.filter(({ subject }) => subject === 's3');
}

/** By how much the other one is ahead, as a message says it. */
function aheadMs(message: string | undefined): number {
  const [, here = '', there = ''] = APART.exec(message ?? '') ?? [];
  return Date.parse(there) - Date.parse(here);
}

test('a store that refuses what is dated wrongly: upload and check say that it is the clock', async () => {
  store.proxy.setClockAhead(APART_MS);
  const sent = await stage.box.backupd(['upload', '--json']);
  expect(sent.exitCode).toBe(30);
  const [failed] = JSON.parse(sent.stdout) as readonly { error: { message: string } }[];
  expect(failed).toMatchObject({
    id: null,
    ok: false,
    error: { code: 'destination-unavailable', message: matching(APART), hint: matching(/NTP/) },
  });
  expect(Math.abs(aheadMs(failed?.error.message) - APART_MS)).toBeLessThan(10_000);
  expect(await checks()).toEqual([
    having({ name: 'destination', ok: false, message: matching(APART), hint: matching(/NTP/) }),
  ]);
  expect(store.proxy.bytesOf('PutObject')).toBe(0);
  const status = await stage.box.backupd(['status', '--json']);
  expect(JSON.parse(status.stdout)).toMatchObject({
    healthy: false,
    destinations: [having({ state: 'failed', failure: having({ message: matching(APART) }) })],
  });
});

test('a clock of ours that is wrong stops no upload, and check says it', async () => {
  await writeFile(join(stage.box.dir, '.clock'), String(APART_MS));
  const found = await checks(WRONG);
  const clock = found.find(({ name }) => name === 'clock');
  expect(clock).toMatchObject({ ok: false, message: matching(APART), hint: matching(/NTP/) });
  expect(Math.abs(aheadMs(clock?.message) + APART_MS)).toBeLessThan(10_000);
  expect(found.filter(({ ok }) => !ok)).toEqual([clock]);
  const sent = await stage.box.backupd(['upload', '--json'], { env: WRONG });
  expect(sent.exitCode, sent.stdout + sent.stderr).toBe(0);
  expect(JSON.parse(sent.stdout)).toEqual([having({ id: backupId(1), ok: true })]);
  expect(await stage.keys()).toContain(`demo/db/${backupId(1)}/manifest.json`);
});

test('a lock that would end at another time than was meant is not made', async () => {
  await using locked = await store.stage({
    bucket: { lock: { days: null } },
    env: { BACKUPD_S3_OBJECT_LOCK: 'governance:1d' },
  });
  await locked.add(1);
  await writeFile(join(locked.box.dir, '.clock'), String(APART_MS));
  const sent = await locked.box.backupd(['upload', '--json'], { env: WRONG });
  expect(sent.exitCode).toBe(30);
  expect(JSON.parse(sent.stdout)).toEqual([
    having({ ok: false, error: having({ message: matching(APART) }) }),
  ]);
  expect(await locked.keys()).toEqual([]);
});
