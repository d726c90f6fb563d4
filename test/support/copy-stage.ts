import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Destination } from '../../src/core/destination.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { chooseRestore } from '../../src/jobs/choose-restore.ts';
import type { Chosen } from '../../src/jobs/chosen.ts';
import { findCopyOf, type Copy } from '../../src/jobs/find-copy.ts';
import { asConfigured, putCopy } from './copies.ts';
import { sampleApp, type SampleApp } from './app.ts';
import { store } from './archives.ts';
import {
  memoryDestination,
  type MemoryDestination,
  type MemoryOptions,
} from './memory-destination.ts';
import { backupId, emptyCatalog, sampleManifest, type CatalogFixture } from './storage.ts';

const NEVER = new AbortController().signal;

/** A destination with copies, and an app on an empty directory. */
export interface CopyStage extends AsyncDisposable {
  readonly destination: MemoryDestination;
  readonly app: SampleApp;
  readonly dir: string;
  /** A backup of so many bytes, at the destination and, if it is said, here. */
  add(
    number: number,
    options?: { bytes?: number; isHere?: boolean; source?: string },
  ): Promise<Manifest>;
  copyOf(manifest: Manifest): Promise<Copy>;
  choose(change?: { at?: string; source?: string | null; from?: string | null }): Promise<Chosen>;
  path(manifest: Manifest): string;
}

export async function copyStage(
  options: MemoryOptions & { through?: (inner: MemoryDestination) => Destination } = {},
): Promise<CopyStage> {
  const here = await emptyCatalog();
  const origin = await emptyCatalog();
  const destination = memoryDestination(options);
  const seen = options.through?.(destination) ?? destination;
  const app = sampleApp({
    dir: here.dir,
    catalog: here.catalog,
    destinations: [asConfigured(seen)],
  });

  async function make(fixture: CatalogFixture, manifest: Manifest, bytes: Buffer): Promise<void> {
    await using draft = await fixture.catalog.draft(manifest.source, manifest.id);
    for (const file of manifest.files) {
      await writeFile(draft.path(file.name), bytes);
    }
    await draft.commit(manifest);
  }

  return {
    destination,
    app,
    dir: here.dir,
    async add(number, { bytes = 7, isHere = false, source = 'db' } = {}) {
      const content = randomBytes(bytes);
      const file = await store(join(origin.dir, 'content'), content, {
        plain: content,
        compression: 'none',
      });
      const files = [{ ...file, name: 'shop.dump', format: 'pg-custom', database: 'shop' }];
      const manifest = sampleManifest({ id: backupId(number), source, files });
      await make(origin, manifest, content);
      await putCopy(destination, origin.dir, manifest);
      if (isHere) {
        await make(here, manifest, content);
      }
      return manifest;
    },
    async copyOf(manifest) {
      const copy = await findCopyOf(manifest, app.context, NEVER);
      if (copy === null) {
        throw new Error('no copy');
      }
      return copy;
    },
    choose: (change = {}) =>
      chooseRestore({ source: 'db', at: 'latest', from: null, ...change }, app, NEVER),
    path: (manifest) => here.catalog.path(manifest, 'shop.dump'),
    async [Symbol.asyncDispose]() {
      await origin[Symbol.asyncDispose]();
      await here[Symbol.asyncDispose]();
    },
  };
}

/** The key of its archive, or of another file of it. */
export function keyOf({ namespace, source, id }: Manifest, name = 'shop.dump'): string {
  return `${namespace}/${source}/${id}/${name}`;
}
