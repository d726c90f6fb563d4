import { randomBytes } from 'node:crypto';
import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { Destination } from '../../../src/core/destination.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import { isDamaged, verifiedAt, type Manifest } from '../../../src/core/manifest.ts';
import { bringBack } from '../../../src/jobs/bring-back.ts';
import { chooseRestore } from '../../../src/jobs/choose-restore.ts';
import type { Chosen } from '../../../src/jobs/chosen.ts';
import { fetchBackup } from '../../../src/jobs/fetch-backup.ts';
import { findCopyOf, type Copy } from '../../../src/jobs/find-copy.ts';
import { asConfigured, putCopy } from '../../support/copies.ts';
import { sampleApp, type SampleApp } from '../../support/app.ts';
import { goldenArchive, store } from '../../support/archives.ts';
import {
  memoryDestination,
  type MemoryDestination,
  type MemoryOptions,
} from '../../support/memory-destination.ts';
import { containing, having } from '../../support/matchers.ts';
import {
  backupId,
  emptyCatalog,
  sampleManifest,
  type CatalogFixture,
} from '../../support/storage.ts';

const NEVER = new AbortController().signal;
const MIB = 1024 * 1024;

interface Stage extends AsyncDisposable {
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

async function stage(
  options: MemoryOptions & { through?: (inner: MemoryDestination) => Destination } = {},
): Promise<Stage> {
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

function keyOf({ namespace, source, id }: Manifest, name = 'shop.dump'): string {
  return `${namespace}/${source}/${id}/${name}`;
}

describe('fetchBackup', () => {
  test('makes a copy a backup here, with its manifest and its pins', async () => {
    await using here = await stage();
    const manifest = await here.add(1, { bytes: 40 * MIB });
    const at = '2026-01-01T00:00:00.000Z';
    const pin = Buffer.from(JSON.stringify({ type: 'pinned', at }));
    await here.destination.put(
      keyOf(manifest, 'receipts/0007-pinned.json'),
      pin,
      { ifAbsent: false },
      NEVER,
    );
    await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
    const { catalog } = here.app.context;
    expect(await catalog.manifest('db', manifest.id)).toEqual(manifest);
    const entry = await catalog.find(manifest.id);
    expect(entry.receipts).toEqual([
      { type: 'pinned', at },
      having({ type: 'verified', depth: 'stored' }),
    ]);
    expect((await stat(here.path(manifest))).size).toBe(40 * MIB);
    expect((await stat(here.path(manifest))).mode % 0o1000).toBe(0o600);
    // Three ranges.
    expect(here.destination.requests.filter(({ method }) => method === 'read')).toHaveLength(3);
    expect(here.app.events.at(-1)).toEqual(
      having({ type: 'fetched', destination: 's3', bytes: 40 * MIB }),
    );
    await expect(stat(join(here.dir, '.backupd/downloads/db', manifest.id))).rejects.toThrow(
      'ENOENT',
    );
  });

  test('goes on with the ranges that are there', async () => {
    await using here = await stage();
    const manifest = await here.add(1, { bytes: 100 * MIB });
    let reads = 0;
    here.destination.onRequest = ({ method }) => {
      if (method === 'read') {
        reads += 1;
        if (reads === 6) {
          throw new BackupdError('destination-unavailable', 'reset');
        }
      }
    };
    const copy = await here.copyOf(manifest);
    await expect(fetchBackup(copy, here.app.context, NEVER)).rejects.toThrow('reset');
    expect(await here.app.context.catalog.sources()).toEqual([]);
    const before = reads;
    await fetchBackup(copy, here.app.context, NEVER);
    // Seven ranges; the last one is begun beside the one that fails, and may or may not be done.
    expect(reads - before).toBeLessThanOrEqual(2);
    expect(await here.app.context.catalog.manifest('db', manifest.id)).toEqual(manifest);
  });

  test('a body that breaks off is gone on with from there', async () => {
    let broken = 0;
    await using here = await stage({
      through: (inner) => ({
        ...inner,
        async read(object, range, signal) {
          const whole = await inner.read(object, range, signal);
          if (range.bytes < 2 * MIB || broken > 20) {
            return whole;
          }
          broken += 1;
          return Readable.from(
            (async function* () {
              for await (const bytes of whole) {
                yield (bytes as Buffer).subarray(0, MIB);
              }
              throw new BackupdError('destination-unavailable', 'cut off');
            })(),
          );
        },
      }),
    });
    const manifest = await here.add(1, { bytes: 10 * MIB });
    await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
    expect(broken).toBe(9);
    expect(await here.app.context.catalog.manifest('db', manifest.id)).toEqual(manifest);
  });

  test('what a power cut took is fetched again', async () => {
    await using here = await stage();
    const manifest = await here.add(1, { bytes: 40 * MIB });
    here.destination.onRequest = ({ method, key }) => {
      if (method === 'get' && key.includes('manifest')) {
        return;
      }
      if (
        method === 'get' ||
        here.destination.requests.filter((one) => one.method === 'read').length > 2
      ) {
        throw new BackupdError('destination-unavailable', 'reset');
      }
    };
    const copy = await here.copyOf(manifest);
    await expect(fetchBackup(copy, here.app.context, NEVER)).rejects.toThrow('reset');
    here.destination.onRequest = () => undefined;
    const partial = join(here.dir, '.backupd/downloads/db', manifest.id, 'files/shop.dump');
    await writeFile(partial, Buffer.alloc(20 * MIB));
    await fetchBackup(copy, here.app.context, NEVER);
    expect(await here.app.context.catalog.manifest('db', manifest.id)).toEqual(manifest);
  });

  test('an altered object is no backup, and nothing of it stays', async () => {
    await using here = await stage();
    const manifest = await here.add(1);
    here.destination.alter(keyOf(manifest), 'altered');
    await expect(
      fetchBackup(await here.copyOf(manifest), here.app.context, NEVER),
    ).rejects.toMatchObject({ code: 'archive-corrupt', message: containing('shop.dump at s3') });
    expect(await here.app.context.catalog.sources()).toEqual([]);
  });

  test('of several versions the one whose hash fits is taken', async () => {
    await using here = await stage({ keepsVersions: true });
    const content = await goldenArchive('small-17');
    const manifest = await here.add(1, { bytes: content.length });
    here.destination.alter(keyOf(manifest), content);
    here.destination.lose(keyOf(manifest));
    here.destination.lose(keyOf(manifest, 'manifest.json'));
    await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
    expect(await here.app.context.catalog.manifest('db', manifest.id)).toEqual(manifest);
  });

  test('too little space is told before anything is fetched', async () => {
    await using here = await stage();
    const manifest = await here.add(1);
    const storage = {
      ...here.app.context.storage,
      space: () => Promise.resolve({ freeBytes: 1e6, sizeBytes: 2e9 }),
    };
    await expect(
      fetchBackup(await here.copyOf(manifest), { ...here.app.context, storage }, NEVER),
    ).rejects.toMatchObject({ code: 'no-space' });
    expect(here.destination.requests.filter(({ method }) => method === 'read')).toEqual([]);
  });

  test('mends only what is damaged here', async () => {
    await using here = await stage();
    const manifest = await here.add(1, { isHere: true });
    const { catalog } = here.app.context;
    await catalog.addReceipt(
      { manifest },
      { type: 'damaged', at: '2026-01-01T00:00:00.000Z', message: 'torn' },
    );
    await writeFile(here.path(manifest), 'damaged');
    await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
    const entry = await catalog.find(manifest.id);
    expect(isDamaged(entry)).toBe(false);
    expect(verifiedAt(entry)).not.toBeNull();
    const reads = here.destination.requests.filter(({ method }) => method === 'read').length;
    expect(reads).toBe(1);
    await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
    expect(here.destination.requests.filter(({ method }) => method === 'read')).toHaveLength(reads);
  });

  test('mends a backup whose manifest is damaged', async () => {
    await using here = await stage();
    const manifest = await here.add(1, { isHere: true });
    await writeFile(join(here.dir, 'db', manifest.id, 'manifest.json'), '{');
    await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
    expect(await here.app.context.catalog.manifest('db', manifest.id)).toEqual(manifest);
  });

  test('a download that nobody goes on with is swept after two days', async () => {
    await using here = await stage();
    const manifest = await here.add(1);
    here.destination.onRequest = ({ method }) => {
      if (method === 'read') {
        throw new BackupdError('destination-unavailable', 'reset');
      }
    };
    const { catalog } = here.app.context;
    await expect(
      fetchBackup(await here.copyOf(manifest), here.app.context, NEVER),
    ).rejects.toThrow();
    expect(await catalog.sweep('db')).toEqual([]);
    const old = new Date(Date.now() - 3 * 86_400_000);
    const record = join(here.dir, '.backupd/downloads/db', manifest.id, 'records/shop.dump');
    await utimes(record, old, old);
    expect(await catalog.sweep('db')).toEqual([manifest.id]);
  });
});

describe('chooseRestore', () => {
  test('takes what is whole here, and asks nobody', async () => {
    await using here = await stage();
    const manifest = await here.add(1, { isHere: true });
    expect(await here.choose()).toEqual(
      having({ manifest, copy: null, damage: null, warnings: [] }),
    );
    expect(here.destination.requests.filter(({ method }) => method === 'list')).toEqual([]);
  });

  test('takes the copy of one that is damaged here, and says so', async () => {
    await using here = await stage();
    const manifest = await here.add(1, { isHere: true });
    await rm(here.path(manifest));
    expect(await here.choose()).toMatchObject({
      manifest,
      copy: { destination: { name: 's3' } },
      damage: null,
      warnings: [
        {
          code: 'copy-taken',
          message: `backup ${manifest.id} is damaged here (its shop.dump is missing): the copy of ${manifest.id} at s3 is taken`,
        },
      ],
    });
  });

  test('takes the copy of a newer one that was found damaged rather than an older one', async () => {
    await using here = await stage();
    await here.add(1, { isHere: true });
    const newer = await here.add(2, { isHere: true });
    const at = '2026-01-01T00:00:00.000Z';
    await here.app.context.catalog.addReceipt(
      { manifest: newer },
      { type: 'damaged', at, message: 'torn' },
    );
    expect((await here.choose()).manifest.id).toBe(newer.id);
    here.destination.lose(keyOf(newer));
    expect(await here.choose()).toMatchObject({
      copy: null,
      warnings: [{ code: 'newer-not-used' }],
    });
  });

  test.each([
    ['an id', (id: string) => id],
    ['latest', () => 'latest'],
    ['an instant', () => '2026-01-01T02:00Z'],
  ])('takes the copy of one that is not here any more, by %s', async (_how, at) => {
    await using here = await stage();
    const manifest = await here.add(1);
    expect(await here.choose({ at: at(manifest.id) })).toMatchObject({
      manifest,
      copy: { destination: { name: 's3' } },
      warnings: [{ code: 'copy-taken' }],
    });
  });

  test('where a destination does not answer either, both are told', async () => {
    await using here = await stage();
    await here.add(1);
    here.destination.onRequest = () => {
      throw new BackupdError('destination-unavailable', 'no route to host');
    };
    await expect(here.choose()).rejects.toMatchObject({
      code: 'source-not-found',
      hint: containing('s3 could not be asked: no route to host'),
    });
  });

  test('--from chooses among what is there and what is here', async () => {
    await using here = await stage();
    const there = await here.add(1);
    const both = await here.add(2, { isHere: true });
    expect(await here.choose({ from: 's3' })).toMatchObject({ manifest: both, copy: {} });
    expect(await here.choose({ from: 's3', at: there.id })).toMatchObject({ manifest: there });
    here.destination.lose(keyOf(both, 'manifest.json'));
    expect(await here.choose({ from: 's3' })).toMatchObject({
      manifest: both,
      copy: null,
      warnings: [{ code: 'not-there' }, { code: 'newer-not-used' }].slice(0, 1),
    });
  });

  test('--from needs no source where there is only one, and names several', async () => {
    await using here = await stage();
    const only = await here.add(1);
    expect(await here.choose({ from: 's3', source: null })).toMatchObject({ manifest: only });
    await here.add(2, { source: 'app' });
    await expect(here.choose({ from: 's3', source: null })).rejects.toMatchObject({
      code: 'usage',
      message: 'which source? there are backups of app, db',
    });
  });

  test('--from says why there is nothing', async () => {
    await using here = await stage();
    await expect(here.choose({ from: 's3' })).rejects.toMatchObject({
      code: 'backup-not-found',
      hint: containing('none of any other either'),
    });
    const manifest = await here.add(1);
    await expect(here.choose({ from: 's3', source: 'orders' })).rejects.toMatchObject({
      code: 'source-not-found',
    });
    await expect(here.choose({ from: 'nas' })).rejects.toMatchObject({ code: 'usage' });
    here.destination.lose(keyOf(manifest));
    await expect(here.choose({ from: 's3' })).rejects.toMatchObject({
      code: 'backup-not-found',
      message: containing('its shop.dump is missing there'),
    });
    await here.add(2);
    await expect(here.choose({ from: 's3', at: manifest.id })).rejects.toMatchObject({
      code: 'archive-corrupt',
    });
    expect(await here.choose({ from: 's3' })).toMatchObject({ warnings: [] });
  });
});

describe('bringBack', () => {
  const how = { tier: 'standard', waitMs: 0 } as const;

  test('asks for what is archived, and is pending until it came', async () => {
    await using here = await stage();
    const manifest = await here.add(1);
    here.destination.archive(keyOf(manifest));
    const copy = await here.copyOf(manifest);
    const asked = () =>
      here.destination.requests.filter(({ method }) => method === 'retrieve').length;
    for (const _time of [1, 2]) {
      await expect(bringBack(copy, how, here.app.context, NEVER)).rejects.toMatchObject({
        code: 'retrieval-pending',
        hint: containing('Run the same command again'),
      });
    }
    expect(asked()).toBe(1);
    here.destination.returnAll();
    await bringBack(copy, how, here.app.context, NEVER);
  });

  test('waits as long as it is told', async () => {
    await using here = await stage();
    const manifest = await here.add(1);
    here.destination.archive(keyOf(manifest));
    const copy = await here.copyOf(manifest);
    await expect(
      bringBack(copy, { ...how, waitMs: 50 }, here.app.context, NEVER),
    ).rejects.toMatchObject({ code: 'retrieval-pending' });
    expect(here.app.events).toEqual([
      having({ type: 'retrieval-awaited', message: containing('1 file of') }),
    ]);
  });
});

test('what was fetched is what was there', async () => {
  await using here = await stage();
  const manifest = await here.add(1, { bytes: 33 * MIB + 5, isHere: true });
  const before = await readFile(here.path(manifest));
  await rm(here.path(manifest));
  await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
  expect(before.equals(await readFile(here.path(manifest)))).toBe(true);
});
