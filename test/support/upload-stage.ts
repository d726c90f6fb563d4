import type { DestinationSettings } from '../../src/core/destination-settings.ts';
import type { Destination } from '../../src/core/destination.ts';
import type { Job } from '../../src/core/job.ts';
import type { BackupId } from '../../src/core/layout.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import type { Receipt } from '../../src/core/catalog-entry.ts';
import type { ConfiguredDestination } from '../../src/jobs/context.ts';
import { upload, type UploadRequest, type UploadResult } from '../../src/jobs/upload.ts';
import { sampleApp, type SampleApp } from './app.ts';
import { memoryDestination, type MemoryDestination } from './memory-destination.ts';
import { backupId, commitBackup, emptyCatalog, sampleJob, type CatalogFixture } from './storage.ts';

const never = new AbortController().signal;

/** Settings of a bucket that sends every six hours and keeps what the source keeps. */
export function destinationSettings(
  change: Partial<DestinationSettings> = {},
): DestinationSettings {
  return {
    name: 's3',
    place: { kind: 'directory', path: '/nowhere' },
    schedule: { patterns: ['0 */6 * * *'], timezone: 'UTC', catchUpMs: 86_400_000 },
    keep: null,
    rateBytes: null,
    isOffsite: null,
    allowedRegions: null,
    ...change,
  };
}

/** A destination as it is configured, opened already. */
export function configured(
  destination: Destination,
  change: Partial<DestinationSettings> = {},
): ConfiguredDestination {
  return {
    settings: destinationSettings({ name: destination.name, ...change }),
    open: () => Promise.resolve(destination),
  };
}

export interface CopiesStage extends CatalogFixture {
  readonly app: SampleApp;
  readonly place: MemoryDestination;
  /** Makes backups of these hours of 2026. */
  add(...hours: readonly number[]): Promise<readonly Manifest[]>;
  receipts(hour: number): Promise<readonly Receipt[]>;
  upload(change?: Partial<UploadRequest>, signal?: AbortSignal): Promise<UploadResult>;
}

export interface StageOptions {
  readonly place?: MemoryDestination;
  readonly settings?: Partial<DestinationSettings>;
  /** Default: `db` alone. */
  readonly jobs?: readonly Job[];
  /** Besides the one in memory. */
  readonly more?: readonly ConfiguredDestination[];
}

/** A catalog of these sources, which keep three, and a destination in memory. */
export async function copiesStage(options: StageOptions = {}): Promise<CopiesStage> {
  const fixture = await emptyCatalog();
  const { dir, catalog } = fixture;
  const place = options.place ?? memoryDestination();
  const app = sampleApp({
    dir,
    catalog,
    jobs: options.jobs ?? [sampleJob()],
    destinations: [configured(place, options.settings), ...(options.more ?? [])],
  });
  return {
    ...fixture,
    app,
    place,
    add: (...hours) =>
      Promise.all(hours.map((hour) => commitBackup(catalog, { id: backupId(hour) }))),
    receipts: async (hour) => (await catalog.find(backupId(hour))).receipts,
    upload: (change = {}, signal = never) =>
      upload({ destination: null, takeOver: false, waitMs: 0, ...change }, app, signal),
  };
}

/** The keys of a whole copy with this many receipts. */
export function copyKeys(id: BackupId, ...receipts: readonly string[]): readonly string[] {
  const folder = `demo/db/${id}`;
  return [
    `${folder}/manifest.json`,
    ...receipts.map((name) => `${folder}/receipts/${name}`),
    `${folder}/shop.dump.zst`,
  ];
}

/** Ids that were sent, and how each ended. */
export async function sent(
  stage: CopiesStage,
  ...args: Parameters<CopiesStage['upload']>
): Promise<readonly (readonly [string, string])[]> {
  const { sendings } = await stage.upload(...args);
  return sendings.map(({ id, failure }) => [id, failure?.code ?? 'ok']);
}
