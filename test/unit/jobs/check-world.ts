import type { ConfigProblem } from '../../../src/core/discovery.ts';
import type { Keys } from '../../../src/core/encryption.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import type { Inspection } from '../../../src/core/inspection.ts';
import type { Job, RetentionPolicy, TargetSpec } from '../../../src/core/job.ts';
import { formatBackupId } from '../../../src/core/layout.ts';
import type { ManifestSummary } from '../../../src/core/manifest.ts';
import type { CatalogEntry } from '../../../src/core/catalog-entry.ts';
import type { Source } from '../../../src/core/source.ts';
import type { TargetRef } from '../../../src/core/target.ts';
import type { CheckReport } from '../../../src/jobs/check.ts';
import type { App, Discovery } from '../../../src/jobs/context.ts';
import { NO_INSPECTION, NO_KEYS } from '../../support/storage.ts';
import { policy } from '../core/retention-samples.ts';

const TARGET: TargetRef = {
  containerId: 'id',
  container: 'shop-db-1',
  image: 'postgres:17',
  imageId: 'sha256:0',
  repoDigests: [],
};
export const REFUSED = new BackupdError('dump-failed', 'wrong password', {
  hint: 'Set the right one.',
});
export const SIGNAL = new AbortController().signal;
export const QUICK = { silenceMs: 0 };

export interface World {
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
  readonly keep?: RetentionPolicy;
  readonly target?: TargetSpec;
  readonly inspection?: Partial<Inspection>;
}

/** What `check` reads of an app; all is well but for what is said. */
export function app(dir: string, world: World): App {
  const schedule = { patterns: world.patterns ?? ['0 2 * * *'], timezone: 'UTC', catchUpMs: 0 };
  const source: Pick<Source, 'locate' | 'probe'> = {
    locate: world.locate ?? (async () => Promise.resolve(TARGET)),
    probe:
      world.probe ??
      (async () => Promise.resolve({ toolVersion: 'pg_dump 17.6', serverVersion: '17.6' })),
  };
  const job: Pick<Job, 'source' | 'schedule' | 'keep' | 'target' | 'stop' | 'pause' | 'drill'> = {
    source: 'db',
    schedule,
    keep: world.keep ?? policy({ last: 1 }),
    target: world.target ?? { by: 'name', container: 'db' },
    stop: [],
    pause: [],
    drill: { patterns: [], timezone: 'UTC', catchUpMs: 0 },
  };
  const needed = {
    storageFailure: null,
    problems: world.problems ?? [],
    settings: { timezone: 'Europe/Berlin' },
    inspection: { ...NO_INSPECTION, ...world.inspection },
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

export function backup(source: string, startedAt: Date, storedBytes: number): CatalogEntry {
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

export async function rejects(error: Error): Promise<never> {
  return Promise.reject(error);
}

export function brief({ checks }: CheckReport): readonly string[] {
  return checks.map(({ ok, name, subject }) => `${ok ? 'ok' : 'FAILED'} ${name} ${subject}`);
}
