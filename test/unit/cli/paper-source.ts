import { Readable } from 'node:stream';
import type { Job } from '../../../src/core/job.ts';
import type { BackupId } from '../../../src/core/layout.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import type { DumpSession, Source, StreamReader } from '../../../src/core/source.ts';
import type { Previous, Restorer } from '../../../src/core/restorer.ts';
import type { TargetRef } from '../../../src/core/target.ts';
import type { BoundSource } from '../../../src/jobs/context.ts';
import { backupId, sampleManifest } from '../../support/storage.ts';

/** Takes any bytes for whole. */
export const ANY_READER: StreamReader = { push: () => undefined, end: () => ({}) };

export const SCHEDULE = { patterns: ['0 2 * * *'], timezone: 'UTC', catchUpMs: 86_400_000 };

const TARGET: TargetRef = {
  containerId: 'c0ffee',
  container: 'shop-db-1',
  image: 'postgres:17',
  imageId: 'sha256:1',
  repoDigests: [],
};

export function manifest(change: Partial<Manifest> = {}): Manifest {
  return {
    format: 1,
    id: '20261122T020000Z-full-3fa9' as BackupId,
    namespace: 'shop',
    source: 'db',
    engine: 'postgres',
    kind: 'full',
    parent: null,
    trigger: 'schedule',
    startedAt: '2026-11-22T02:00:00.000Z',
    finishedAt: '2026-11-22T02:00:04.000Z',
    backupdVersion: '9.9.9',
    target: TARGET,
    toolVersion: 'pg_dump 17.6',
    files: [],
    databases: ['shop'],
    encryption: { scheme: 'none', keyIds: [] },
    position: null,
    facts: {
      serverVersion: '17.6',
      databases: {
        shop: {
          sizeBytes: 12_345_678,
          tables: { 'public.orders': { rows: 42, exact: true } },
          sequences: {},
          objects: {},
        },
      },
    },
    engineFacts: {},
    warnings: [],
    suspicious: false,
    ...change,
  };
}

export interface FakeSource {
  /** What its dump is; an error: what it fails with. */
  readonly dump?: string | Error;
  /** Names that are in use in the target. */
  readonly existing?: readonly string[];
}

/** A source whose dump is a text, and whose restores happen on paper. */
export function boundSource(name: string, fake: FakeSource = {}): BoundSource {
  const { dump = 'rows', existing = [] } = fake;
  const job: Job = {
    source: name,
    engine: 'postgres',
    target: { by: 'discovery', containerId: 'c0ffee', container: 'shop-db-1' },
    databases: null,
    exclude: [],
    user: null,
    passwordFile: null,
    stop: [],
    pause: [],
    before: null,
    after: null,
    schedule: SCHEDULE,
    keep: { all: true },
    maxAge: { intervals: 1.5 },
    drill: { ...SCHEDULE, patterns: [] },
    drillCheck: null,
    rpoMs: null,
    rtoMs: null,
    timeoutMs: 60_000,
    facts: 'exact',
    compression: { algorithm: 'none', level: 3, where: 'backupd' },
  };
  const source: Source = {
    name,
    engine: 'postgres',
    locate: () => Promise.resolve(TARGET),
    refind: () => Promise.resolve(TARGET),
    probe: () => Promise.resolve({ toolVersion: 'pg_dump 17.6', serverVersion: '17.6' }),
    sweep: () => Promise.resolve(),
    open: () => Promise.resolve(dumpSession(dump)),
    reader: () => ANY_READER,
    restorer: paperRestorer(name, existing),
  };
  return { job, source, options: [{ name: 'schedule', value: '0 2 * * *', from: 'default' }] };
}

function dumpSession(dump: string | Error): DumpSession {
  return {
    async *parts() {
      await Promise.resolve();
      if (dump instanceof Error) {
        throw dump;
      }
      yield {
        stem: 'shop.dump',
        format: 'any',
        database: 'shop',
        encoding: 'none',
        stream: Readable.from([Buffer.from(dump)]),
      };
    },
    finish: () =>
      Promise.resolve({
        toolVersion: 'pg_dump 17.6',
        databases: ['shop'],
        facts: sampleManifest({ id: backupId(0) }).facts,
        engineFacts: {},
        position: null,
        warnings: [{ code: 'skipped', message: 'database "x" was skipped' }],
      }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function paperRestorer(source: string, existing: readonly string[]): Restorer {
  let kept: Previous[] = [];
  return {
    preflight: () => Promise.resolve({ problems: [], existing }),
    build: (target, plan) =>
      Promise.resolve({
        run: plan.run,
        target,
        databases: plan.databases.map((database) => ({
          ...database,
          temporary: 'tmp',
          temporaryId: '2',
          live: existing.includes(database.restoredAs)
            ? { id: '1', keptAs: `${database.restoredAs}_before_x` }
            : null,
        })),
        warnings: [{ code: 'left-out', message: 'tablespace "fast" is not there' }],
        statements: [],
      }),
    compare: () => Promise.resolve(new Map()),
    swap(beside) {
      const previous: Previous = {
        run: beside.run,
        source,
        engine: 'postgres',
        target: beside.target,
        replacedAt: '2026-11-22T03:00:00.000Z',
        databases: beside.databases.map(({ restoredAs, live }) => ({
          name: restoredAs,
          currentId: '2',
          kept: live === null ? null : { id: live.id, name: live.keptAs },
        })),
      };
      kept = [previous, ...kept];
      return Promise.resolve({ previous, warnings: [] });
    },
    resume: () => Promise.resolve(null),
    previous: () => Promise.resolve(kept),
    undo: (previous) => Promise.resolve({ ...previous, run: `${previous.run}-undone` }),
    dropPrevious() {
      kept = [];
      return Promise.resolve();
    },
    discard: () => Promise.resolve(),
  };
}
