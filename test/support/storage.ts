import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Keys } from '../../src/core/encryption.ts';
import type { Neighbours } from '../../src/core/halts.ts';
import { ALARM_EVENTS } from '../../src/core/incident.ts';
import type { Inspection } from '../../src/core/inspection.ts';
import type { Job } from '../../src/core/job.ts';
import type { Scratches } from '../../src/core/scratch.ts';
import { formatBackupId, type BackupId } from '../../src/core/layout.ts';
import type { ArchiveFile, Manifest } from '../../src/core/manifest.ts';
import type { NotifySettings } from '../../src/core/notify-settings.ts';
import { openKeys } from '../../src/encryption/keys.ts';
import { openCatalog, type Catalog } from '../../src/store/catalog.ts';

export interface TemporaryFolder extends AsyncDisposable {
  readonly dir: string;
}

/** An empty folder that is gone when it is disposed. */
export async function temporaryFolder(): Promise<TemporaryFolder> {
  const dir = await mkdtemp(join(tmpdir(), 'backupd-test-'));
  return {
    dir,
    async [Symbol.asyncDispose]() {
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Ids one after the other: number 0 is of 2026-01-01, each next one an hour later. */
export function backupId(number: number, suffix = '0000'): BackupId {
  const startedAt = new Date(Date.UTC(2026, 0, 1, number));
  return formatBackupId({ startedAt, kind: 'full', suffix });
}

export const SAMPLE_ARCHIVE: ArchiveFile = {
  name: 'shop.dump.zst',
  format: 'pg-custom',
  database: 'shop',
  storedBytes: 7,
  // Of "archive".
  sha256: '0eb3e36bfb24dcd9bb1d1bece1531216b59539a8fde17ee80224af0653c92aa3',
  dumpBytes: 100,
  compression: 'zstd',
};

/** A manifest as a backup of a small database leaves it. */
export function sampleManifest(changes: Partial<Manifest> & { readonly id: BackupId }): Manifest {
  const stamp = changes.id.slice(0, 16);
  const startedAt = `${stamp.slice(0, 4)}-${stamp.slice(4, 6)}-${stamp.slice(6, 11)}:${stamp.slice(11, 13)}:${stamp.slice(13, 15)}.000Z`;
  return {
    format: 1,
    namespace: 'demo',
    source: 'db',
    engine: 'postgres',
    kind: 'full',
    parent: null,
    trigger: 'manual',
    startedAt,
    finishedAt: startedAt,
    backupdVersion: '0.1.0',
    target: {
      container: 'demo-db-1',
      image: 'postgres:17',
      imageId: 'sha256:0',
      repoDigests: ['postgres@sha256:0'],
    },
    toolVersion: 'pg_dump (PostgreSQL) 17.6',
    files: [SAMPLE_ARCHIVE],
    databases: ['shop'],
    encryption: { scheme: 'none', keyIds: [] },
    position: null,
    facts: {
      serverVersion: '17.6',
      databases: {
        shop: {
          sizeBytes: 8_000_000,
          tables: { 'public.orders': { rows: 3, exact: true } },
          sequences: {},
          objects: {},
        },
      },
    },
    engineFacts: {},
    warnings: [],
    hooks: [],
    halts: [],
    suspicious: false,
    ...changes,
  };
}

/** Puts a backup with one archive of seven bytes into a catalog, the way a run does. */
export async function commitBackup(
  catalog: Catalog,
  changes: Partial<Manifest> & { readonly id: BackupId },
): Promise<Manifest> {
  const manifest = sampleManifest(changes);
  await using draft = await catalog.draft(manifest.source, manifest.id);
  for (const { name } of manifest.files) {
    await writeFile(draft.path(name), 'archive', { mode: 0o600 });
  }
  await draft.commit(manifest);
  return manifest;
}

/** For what has no containers around it. */
export const NO_NEIGHBOURS: Neighbours = {
  findRunning: () => Promise.resolve([]),
  halt: () => Promise.reject(new Error('there is nothing to halt')),
  release: () => Promise.reject(new Error('there is nothing to release')),
  runCommand: () => Promise.reject(new Error('there is nothing to run a command in')),
};

/** For what asks no Docker: all is allowed, and nothing is around. */
export const NO_INSPECTION: Inspection = {
  endpoint: '/var/run/docker.sock',
  tryCalls: () => Promise.resolve([]),
  tryStream: () => Promise.resolve(),
  findUnsaved: () => Promise.resolve({ databases: [], volumes: [] }),
};

/** For what makes no throw-away targets. */
export const NO_SCRATCHES: Scratches = {
  open: () => Promise.reject(new Error('there is nothing to drill in')),
  sweep: () => Promise.resolve(0),
  left: () => Promise.resolve([]),
};

/** Nothing is encrypted, and no secret is there. */
export const NO_KEYS: Keys = openKeys({
  ageRecipients: null,
  ageIdentity: null,
  gpgRecipientKeys: null,
  gpgSecretKey: null,
  gpgPassphrase: null,
});

/** A source with a schedule that keeps its last three backups. */
export function sampleJob(changes: Partial<Job> = {}): Job {
  return {
    source: 'db',
    engine: 'postgres',
    target: { by: 'discovery', containerId: '1', container: 'demo-db-1' },
    databases: null,
    exclude: [],
    user: null,
    passwordFile: null,
    stop: [],
    pause: [],
    before: null,
    after: null,
    schedule: { patterns: ['0 2 * * *'], timezone: 'UTC', catchUpMs: 86_400_000 },
    keep: {
      all: false,
      last: 3,
      hourly: 0,
      daily: 0,
      weekly: 0,
      monthly: 0,
      yearly: 0,
      withinMs: 0,
    },
    maxAge: { intervals: 1.5 },
    drill: { patterns: [], timezone: 'UTC', catchUpMs: 86_400_000 },
    drillCheck: null,
    rpoMs: null,
    rtoMs: null,
    timeoutMs: 3_600_000,
    facts: 'exact',
    compression: { algorithm: 'zstd', level: 3, where: 'auto' },
    ...changes,
  };
}

export interface CatalogFixture extends TemporaryFolder {
  readonly catalog: Catalog;
  /** The same directory as another process sees it. */
  other(): Catalog;
}

/** An empty catalog of the namespace `demo` in a folder that is gone when it is disposed. */
export async function emptyCatalog(): Promise<CatalogFixture> {
  const folder = await temporaryFolder();
  const storage = { dir: folder.dir, namespace: 'demo' };
  return {
    dir: folder.dir,
    catalog: openCatalog(storage),
    other: () => openCatalog(storage),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** No channel is configured. */
export const NOBODY_TOLD: NotifySettings = {
  on: ALARM_EVENTS,
  slack: null,
  email: null,
  pagerduty: null,
  webhook: null,
  healthchecks: null,
  ca: null,
};
