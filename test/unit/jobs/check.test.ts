import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ConfigProblem } from '../../../src/core/discovery.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import { check } from '../../../src/jobs/check.ts';
import { app, backup, brief, QUICK, REFUSED, rejects, SIGNAL, type World } from './check-world.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'check-'));
});

afterEach(async () => {
  await rm(dir, { recursive: true });
});

const LOUD: ConfigProblem = {
  source: null,
  option: 'BACKUPD_SHEDULE',
  message: 'there is no such variable',
  hint: null,
  severity: 'loud',
};
it('finds everything in place, and leaves nothing behind', async () => {
  const report = await check(
    QUICK,
    app(dir, { backups: [backup('db', new Date(0), 5e9)] }),
    SIGNAL,
  );
  expect(brief(report)).toEqual([
    'ok configuration options',
    'ok docker engine',
    'ok docker calls',
    'ok docker stream',
    'ok target db',
    'ok login db',
    'ok schedule db',
    `ok directory ${dir}`,
    `ok catalog ${dir}`,
    `ok space ${dir}`,
    `ok space ${dir} in time`,
    'ok clock clock',
  ]);
  expect(report.ok).toBe(true);
  expect(report.checks.every(({ hint }) => hint === null)).toBe(true);
  expect(await readdir(dir)).toEqual([]);
});

it.each<[string, World, string]>([
  ['a problem of the configuration', { problems: [LOUD] }, 'configuration BACKUPD_SHEDULE'],
  ['one that discovery found', { found: { problems: [LOUD] } }, 'configuration BACKUPD_SHEDULE'],
  ['Docker that does not answer', { ping: async () => rejects(REFUSED) }, 'docker engine'],
  ['no source', { found: { sources: [] } }, 'sources sources'],
  ['a target that is away', { locate: async () => rejects(REFUSED) }, 'target db'],
  ['a login that is refused', { probe: async () => rejects(REFUSED) }, 'login db'],
  ['a schedule that never occurs', { patterns: ['0 0 30 2 *'] }, 'schedule db'],
  ['a directory that is away', { dir: '/nowhere/backups' }, 'directory /nowhere/backups'],
  [
    'a clock that was set back',
    { backups: [backup('db', new Date(Date.now() + 3_600_000), 1)] },
    'clock clock',
  ],
])('tells %s, and what to do', async (_, world, what) => {
  const report = await check(QUICK, app(dir, world), SIGNAL);
  expect(report.ok).toBe(false);
  expect(brief(report).filter((line) => line.startsWith('FAILED'))).toEqual([`FAILED ${what}`]);
  expect(report.checks.find(({ ok }) => !ok)?.hint).toMatch(/^[A-Z].*\.$/);
});

it('tells a problem once that both configuration and discovery have', async () => {
  const report = await check(
    QUICK,
    app(dir, { problems: [LOUD], found: { problems: [LOUD] } }),
    SIGNAL,
  );
  expect(report.checks.filter(({ name }) => name === 'configuration')).toHaveLength(1);
});

it('does not call it no source when Docker could not be asked', async () => {
  const docker = { code: 'target-unavailable', message: 'gone', hint: null } as const;
  const world: World = { found: { sources: [], docker }, ping: async () => rejects(REFUSED) };
  expect(brief(await check(QUICK, app(dir, world), SIGNAL))).not.toContain(
    'FAILED sources sources',
  );
});

it('says of a source that is held back that it is', async () => {
  const held = { ...LOUD, source: 'db', severity: 'source' } as const;
  const report = await check(QUICK, app(dir, { found: { sources: [], problems: [held] } }), SIGNAL);
  expect(report.checks.find(({ name }) => name === 'sources')?.message).toBe(
    'no source can be backed up, every one has a problem',
  );
});

it('takes a schedule that is off for what was meant', async () => {
  const report = await check(QUICK, app(dir, { patterns: [] }), SIGNAL);
  expect(report.ok).toBe(true);
});

it('wants room for one more backup of every source, as large as its newest', async () => {
  const backups = [
    backup('a', new Date('2026-11-21T02:00Z'), 9e9),
    backup('a', new Date('2026-11-22T02:00Z'), 2e9),
    backup('b', new Date('2026-11-20T02:00Z'), 3e9),
  ];
  const enough = await check(
    QUICK,
    app(dir, { backups, freeBytes: 5e9 + 32 * 1024 * 1024 }),
    SIGNAL,
  );
  const little = await check(
    QUICK,
    app(dir, { backups, freeBytes: 5e9 + 32 * 1024 * 1024 - 1 }),
    SIGNAL,
  );
  expect(enough.ok).toBe(true);
  expect(brief(little)).toContain(`FAILED space ${dir}`);
  expect(little.checks.find(({ name }) => name === 'space')?.message).toBe(
    '5033 MB free, the newest backups of all sources have 5000 MB, and 34 MB are to spare',
  );
});

it('tells every folder that is damaged or foreign', async () => {
  const damaged = ['/backups/db/x', '/backups/db/y'].map((path) => ({
    path,
    message: 'has no manifest',
    hint: 'Look at it.',
  }));
  const report = await check(QUICK, app(dir, { damaged }), SIGNAL);
  expect(report.checks.filter(({ name }) => name === 'catalog')).toEqual(
    damaged.map(({ path, message, hint }) => ({
      name: 'catalog',
      subject: path,
      ok: false,
      message,
      hint,
    })),
  );
});

it('ends with a cancellation instead of a report about it', async () => {
  const stopping = new AbortController();
  async function probe(): Promise<never> {
    stopping.abort(new BackupdError('cancelled', 'cancelled by SIGINT'));
    return rejects(REFUSED);
  }
  await expect(check(QUICK, app(dir, { probe }), stopping.signal)).rejects.toThrow(
    'cancelled by SIGINT',
  );
});
