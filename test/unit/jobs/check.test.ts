import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ConfigProblem } from '../../../src/core/discovery.ts';
import type { Keys } from '../../../src/core/encryption.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import type { Job } from '../../../src/core/job.ts';
import { formatBackupId } from '../../../src/core/layout.ts';
import type { ManifestSummary } from '../../../src/core/manifest.ts';
import type { CatalogEntry } from '../../../src/core/catalog-entry.ts';
import type { Source } from '../../../src/core/source.ts';
import type { TargetRef } from '../../../src/core/target.ts';
import { check, type CheckReport } from '../../../src/jobs/check.ts';
import type { App, Discovery } from '../../../src/jobs/context.ts';
import { NO_KEYS } from '../../support/storage.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'check-'));
});

afterEach(async () => {
  await rm(dir, { recursive: true });
});

const TARGET: TargetRef = {
  containerId: 'id',
  container: 'shop-db-1',
  image: 'postgres:17',
  imageId: 'sha256:0',
  repoDigests: [],
};
const LOUD: ConfigProblem = {
  source: null,
  option: 'BACKUPD_SHEDULE',
  message: 'there is no such variable',
  hint: null,
  severity: 'loud',
};
const REFUSED = new BackupdError('dump-failed', 'wrong password', { hint: 'Set the right one.' });
const SIGNAL = new AbortController().signal;

interface World {
  readonly problems?: readonly ConfigProblem[];
  readonly found?: Partial<Discovery>;
  readonly ping?: App['ping'];
  readonly locate?: Source['locate'];
  readonly probe?: Source['probe'];
  readonly patterns?: readonly string[];
  readonly dir?: string;
  readonly freeBytes?: number;
  readonly keys?: Keys;
  readonly backups?: readonly CatalogEntry[];
  readonly damaged?: readonly { path: string; message: string; hint: string }[];
}

/** What `check` reads of an app; all is well but for what is said. */
function app(world: World): App {
  const schedule = { patterns: world.patterns ?? ['0 2 * * *'], timezone: 'UTC', catchUpMs: 0 };
  const source: Pick<Source, 'locate' | 'probe'> = {
    locate: world.locate ?? (async () => Promise.resolve(TARGET)),
    probe:
      world.probe ??
      (async () => Promise.resolve({ toolVersion: 'pg_dump 17.6', serverVersion: '17.6' })),
  };
  const job: Pick<Job, 'source' | 'schedule' | 'stop' | 'pause'> = {
    source: 'db',
    schedule,
    stop: [],
    pause: [],
  };
  const needed = {
    storageFailure: null,
    problems: world.problems ?? [],
    discover: async () =>
      Promise.resolve({
        sources: [{ job, source }],
        problems: [],
        docker: null,
        ...world.found,
      }),
    ping: world.ping ?? (async () => Promise.resolve({ engineVersion: '28.5.2' })),
    context: {
      keys: world.keys ?? NO_KEYS,
      storage: {
        dir: world.dir ?? dir,
        space: async () =>
          Promise.resolve({ freeBytes: world.freeBytes ?? 10e9, sizeBytes: 100e9 }),
      },
      destinations: [],
      catalog: {
        all: async () => Promise.resolve(world.backups ?? []),
        problems: async () => Promise.resolve(world.damaged ?? []),
      },
    },
  };
  return needed as unknown as App;
}

function backup(source: string, startedAt: Date, storedBytes: number): CatalogEntry {
  const manifest: Pick<ManifestSummary, 'id' | 'source' | 'startedAt' | 'files'> = {
    id: formatBackupId({ startedAt, kind: 'full', suffix: '0a1b' }),
    source,
    startedAt: startedAt.toISOString(),
    files: [
      {
        name: 'shop.dump.zst',
        format: 'pg-custom',
        database: 'shop',
        storedBytes,
        sha256: '0'.repeat(64),
        dumpBytes: storedBytes,
        compression: 'zstd',
      },
    ],
  };
  return { manifest: manifest as ManifestSummary, receipts: [] };
}

async function rejects(error: Error): Promise<never> {
  return Promise.reject(error);
}

function brief({ checks }: CheckReport): readonly string[] {
  return checks.map(({ ok, name, subject }) => `${ok ? 'ok' : 'FAILED'} ${name} ${subject}`);
}

it('finds everything in place, and leaves nothing behind', async () => {
  const report = await check(app({ backups: [backup('db', new Date(0), 5e9)] }), SIGNAL);
  expect(brief(report)).toEqual([
    'ok configuration options',
    'ok docker engine',
    'ok target db',
    'ok login db',
    'ok schedule db',
    `ok directory ${dir}`,
    `ok catalog ${dir}`,
    `ok space ${dir}`,
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
  const report = await check(app(world), SIGNAL);
  expect(report.ok).toBe(false);
  expect(brief(report).filter((line) => line.startsWith('FAILED'))).toEqual([`FAILED ${what}`]);
  expect(report.checks.find(({ ok }) => !ok)?.hint).toMatch(/^[A-Z].*\.$/);
});

it('tells a problem once that both configuration and discovery have', async () => {
  const report = await check(app({ problems: [LOUD], found: { problems: [LOUD] } }), SIGNAL);
  expect(report.checks.filter(({ name }) => name === 'configuration')).toHaveLength(1);
});

it('does not call it no source when Docker could not be asked', async () => {
  const docker = { code: 'target-unavailable', message: 'gone', hint: null } as const;
  const world: World = { found: { sources: [], docker }, ping: async () => rejects(REFUSED) };
  expect(brief(await check(app(world), SIGNAL))).not.toContain('FAILED sources sources');
});

it('says of a source that is held back that it is', async () => {
  const held = { ...LOUD, source: 'db', severity: 'source' } as const;
  const report = await check(app({ found: { sources: [], problems: [held] } }), SIGNAL);
  expect(report.checks.find(({ name }) => name === 'sources')?.message).toBe(
    'no source can be backed up, every one has a problem',
  );
});

it('takes a schedule that is off for what was meant', async () => {
  const report = await check(app({ patterns: [] }), SIGNAL);
  expect(report.ok).toBe(true);
});

it('wants room for one more backup of every source, as large as its newest', async () => {
  const backups = [
    backup('a', new Date('2026-11-21T02:00Z'), 9e9),
    backup('a', new Date('2026-11-22T02:00Z'), 2e9),
    backup('b', new Date('2026-11-20T02:00Z'), 3e9),
  ];
  const enough = await check(app({ backups, freeBytes: 5e9 + 32 * 1024 * 1024 }), SIGNAL);
  const little = await check(app({ backups, freeBytes: 5e9 + 32 * 1024 * 1024 - 1 }), SIGNAL);
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
  const report = await check(app({ damaged }), SIGNAL);
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
  await expect(check(app({ probe }), stopping.signal)).rejects.toThrow('cancelled by SIGINT');
});
