import type { Keys } from '../../src/core/encryption.ts';
import type { RunEvent } from '../../src/core/events.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import type { Receipt } from '../../src/core/catalog-entry.ts';
import type { App } from '../../src/jobs/context.ts';
import { loadEngine } from '../../src/sources/engines.ts';
import { openCatalog } from '../../src/store/catalog.ts';
import { encode, goldenArchive, store } from './archives.ts';
import { backupId, NO_KEYS, NO_NEIGHBOURS, sampleManifest, temporaryFolder } from './storage.ts';

/** A catalog of backups of a real, small archive, and an app on it. */
export interface GoldenCatalog extends AsyncDisposable {
  readonly dir: string;
  readonly app: Pick<App, 'context' | 'reader'>;
  readonly events: readonly RunEvent[];
  /** A backup of a real archive, or of these bytes. */
  add(number: number, change?: Partial<Manifest>, archive?: Buffer): Promise<Manifest>;
  path(backup: Manifest, file?: string): string;
  receipts(backup: Manifest): Promise<readonly Receipt[]>;
}

export async function goldenCatalog(keys: Keys = NO_KEYS): Promise<GoldenCatalog> {
  const folder = await temporaryFolder();
  const storage = {
    dir: folder.dir,
    namespace: 'demo',
    identity: '0123456789abcdef',
    space: () => Promise.resolve({ freeBytes: 0, sizeBytes: 0 }),
  };
  const catalog = openCatalog(storage);
  const events: RunEvent[] = [];
  const golden = await goldenArchive('small-17');
  return {
    dir: folder.dir,
    events,
    app: {
      context: {
        storage,
        catalog,
        destinations: [],
        neighbours: NO_NEIGHBOURS,
        keys,
        emit: (event) => events.push(event),
        backupdVersion: '0.0.0',
        command: 'test',
      },
      reader: async (engine, format) => (await loadEngine(engine)).reader(format),
    },
    async add(number, change = {}, archive = golden) {
      const id = backupId(number);
      const source = change.source ?? 'db';
      await using draft = await catalog.draft(source, id);
      const file = await store(draft.path('small.dump.zst'), encode(archive, 'zstd'), {
        plain: archive,
        compression: 'zstd',
      });
      const files = [{ ...file, name: 'small.dump.zst', format: 'pg-custom' }];
      const manifest = sampleManifest({ id, files, ...change });
      await draft.commit(manifest);
      return manifest;
    },
    path: (backup, file = 'small.dump.zst') => catalog.path(backup, file),
    receipts: async ({ id }) => (await catalog.find(id)).receipts,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}
