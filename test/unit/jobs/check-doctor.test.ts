import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CallGroup, Inspection, TriedCall } from '../../../src/core/inspection.ts';
import { check } from '../../../src/jobs/check.ts';
import { policy } from '../core/retention-samples.ts';
import { app, backup, brief, QUICK, REFUSED, rejects, SIGNAL } from './check-world.ts';

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'check-'));
});

afterAll(async () => {
  await rm(dir, { recursive: true });
});

it('shows the next three runs, and the time, as clocks there do', async () => {
  const { checks } = await check(QUICK, app(dir, {}), SIGNAL);
  expect(checks.find(({ name }) => name === 'schedule')?.message).toMatch(
    /^next runs at (\d{4}-\d\d-\d\d 02:00(, )?){3} \(UTC\)$/,
  );
  expect(checks.find(({ name }) => name === 'clock')?.message).toContain('in Europe/Berlin');
});

function forbidden(group: CallGroup, name: string, isOptional = false): TriedCall {
  return { name, group, isOptional, isForbidden: true };
}

it('names the calls that are forbidden, and what they are for', async () => {
  function tryCalls(): ReturnType<Inspection['tryCalls']> {
    return Promise.resolve([
      forbidden('backup', 'POST /exec/{id}/start'),
      { ...forbidden('backup', 'GET /version'), isForbidden: false },
      forbidden('halt', 'POST /containers/{id}/stop'),
      forbidden('scratch', 'POST /volumes/create'),
    ]);
  }
  const report = await check(QUICK, app(dir, { inspection: { tryCalls } }), SIGNAL);
  expect(report.checks.filter(({ subject }) => subject === 'calls')).toMatchObject([
    { ok: false, message: 'forbidden: POST /exec/{id}/start (needed for backups and restores)' },
    {
      ok: true,
      message:
        'forbidden: POST /containers/{id}/stop (nothing that is configured needs them; they are for stopping and pausing containers)',
    },
    { ok: true, hint: expect.stringContaining('docker-socket-proxy') as string },
  ]);
  const target = { by: 'volume', volume: 'uploads', labelled: null } as const;
  for (const world of [{ target }, { drills: ['0 4 1 * *'] }]) {
    const { checks } = await check(QUICK, app(dir, { inspection: { tryCalls }, ...world }), SIGNAL);
    expect(checks.filter(({ subject, ok }) => subject === 'calls' && !ok)).toHaveLength(2);
  }
});

it('says of what it does without that it does', async () => {
  function tryCalls(): ReturnType<Inspection['tryCalls']> {
    return Promise.resolve([forbidden('backup', 'GET /images/{id}/json', true)]);
  }
  const report = await check(QUICK, app(dir, { inspection: { tryCalls } }), SIGNAL);
  expect(report.ok).toBe(true);
  expect(report.checks.find(({ subject }) => subject === 'calls')?.message).toBe(
    'forbidden: GET /images/{id}/json (backupd does without)',
  );
});

it('tells a connection that is cut, and says how to try a long silence', async () => {
  const silences: number[] = [];
  async function cut(_target: unknown, silenceMs: number): Promise<void> {
    silences.push(silenceMs);
    return silenceMs > 0 ? rejects(REFUSED) : Promise.resolve();
  }
  const inspection = { endpoint: 'proxy:2375', tryStream: cut };
  const quick = await check(QUICK, app(dir, { inspection }), SIGNAL);
  expect(quick.ok).toBe(true);
  expect(quick.checks.find(({ subject }) => subject === 'stream')?.hint).toContain('--silence');
  const long = await check({ silenceMs: 660_000 }, app(dir, { inspection }), SIGNAL);
  expect(brief(long)).toContain('FAILED docker stream');
  expect(silences).toEqual([0, 660_000]);
});

it('notes what nobody saves', async () => {
  function findUnsaved(): ReturnType<Inspection['findUnsaved']> {
    return Promise.resolve({
      databases: [{ container: 'shop-mysql-1', engine: 'mysql' }],
      volumes: [{ volume: 'shop_uploads', containers: ['shop-app-1', 'shop-web-1'] }],
    });
  }
  const report = await check(QUICK, app(dir, { inspection: { findUnsaved } }), SIGNAL);
  expect(report.ok).toBe(true);
  expect(report.checks.filter(({ name }) => name === 'unsaved')).toMatchObject([
    { message: 'the container looks like mysql, and nothing backs it up' },
    { message: 'nothing backs this volume of shop-app-1, shop-web-1 up' },
  ]);
});

it('wants room for all that retention will keep', async () => {
  const backups = [backup('db', new Date('2026-11-22T02:00Z'), 1e9)];
  const keep = policy({ last: 12 });
  const enough = await check(QUICK, app(dir, { backups, keep, freeBytes: 11e9 }), SIGNAL);
  expect(enough.ok).toBe(true);
  const little = await check(QUICK, app(dir, { backups, keep, freeBytes: 10.9e9 }), SIGNAL);
  expect(brief(little)).toContain(`FAILED space ${dir} in time`);
  expect(little.checks.find(({ ok }) => !ok)?.message).toContain(
    '11000 MB are still to come (were each backup as large as the newest), 10900 MB are free',
  );
  const all = await check(QUICK, app(dir, { backups, keep: { all: true } }), SIGNAL);
  expect(all.checks.find(({ subject }) => subject === 'db')?.name).toBe('target');
  expect(all.checks.find(({ message }) => message.includes('only grows'))?.ok).toBe(true);
});
