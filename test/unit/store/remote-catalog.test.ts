import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Manifest } from '../../../src/core/manifest.ts';
import {
  findNamespaces,
  lookAtRemote,
  readRemoteManifest,
  type RemoteLook,
  type RemoteQuery,
} from '../../../src/store/remote-catalog.ts';
import { putCopy } from '../../support/copies.ts';
import {
  memoryDestination,
  type MemoryDestination,
  type MemoryOptions,
} from '../../support/memory-destination.ts';
import {
  backupId,
  commitBackup,
  emptyCatalog,
  sampleManifest,
  type CatalogFixture,
} from '../../support/storage.ts';

const NEVER = new AbortController().signal;

interface Stage extends CatalogFixture {
  readonly destination: MemoryDestination;
  /** A backup here and there. */
  add(number: number, change?: Partial<Manifest>): Promise<Manifest>;
  look(change?: Partial<RemoteQuery>): Promise<RemoteLook>;
  count(method: string): number;
}

async function stage(options: MemoryOptions = {}): Promise<Stage> {
  const here = await emptyCatalog();
  const destination = memoryDestination(options);
  return {
    ...here,
    destination,
    async add(number, change = {}) {
      const manifest = await commitBackup(here.catalog, { id: backupId(number), ...change });
      await putCopy(destination, here.dir, manifest);
      return manifest;
    },
    look: (change = {}) =>
      lookAtRemote(
        {
          destination,
          namespace: 'demo',
          source: null,
          dir: here.dir,
          view: 'recoverable',
          ...change,
        },
        NEVER,
      ),
    count: (method) => destination.requests.filter((request) => request.method === method).length,
  };
}

function keyOf({ namespace, source, id }: Manifest, name: string): string {
  return `${namespace}/${source}/${id}/${name}`;
}

describe('lookAtRemote', () => {
  test('finds the backups of all sources, newest first, and fetches each manifest once ever', async () => {
    await using here = await stage();
    const older = await here.add(1);
    const newer = await here.add(2);
    const other = await here.add(1, { source: 'app' });
    const first = await here.look();
    expect(first.sources).toEqual(['app', 'db']);
    expect(first.entries.map(({ manifest }) => [manifest.source, manifest.id])).toEqual([
      ['app', other.id],
      ['db', newer.id],
      ['db', older.id],
    ]);
    expect(first.entries.every(({ flaw, isHidden }) => flaw === null && !isHidden)).toBe(true);
    expect(here.count('get')).toBe(3);
    const second = await here.look();
    expect(second).toEqual(first);
    expect(here.count('get')).toBe(3);
    expect(here.count('list')).toBe(2);
  });

  test('leaves other namespaces and foreign objects out', async () => {
    await using here = await stage();
    const ours = await here.add(1);
    await here.destination.put('other/db/x', Buffer.from('1'), { ifAbsent: false }, NEVER);
    for (const name of [
      'photo.jpg',
      'db/readme',
      `db/${ours.id}/a/b`,
      `db/${ours.id}x/manifest.json`,
    ]) {
      await here.destination.put(`demo/${name}`, Buffer.from('1'), { ifAbsent: false }, NEVER);
    }
    const look = await here.look();
    expect(look.entries.map(({ manifest }) => manifest.id)).toEqual([ours.id]);
    expect(look.unreadable).toEqual([]);
    expect([...(look.entries[0]?.objects.keys() ?? [])].toSorted()).toEqual([
      'manifest.json',
      'shop.dump.zst',
    ]);
  });

  test('says of what is no backup why', async () => {
    await using here = await stage();
    const [missing, shorter, unfinished, damaged] = [
      await here.add(1),
      await here.add(2),
      await here.add(3),
      await here.add(4),
    ];
    here.destination.lose(keyOf(missing, 'shop.dump.zst'));
    here.destination.alter(keyOf(shorter, 'shop.dump.zst'), 'arch');
    here.destination.lose(keyOf(unfinished, 'manifest.json'));
    here.destination.alter(keyOf(damaged, 'manifest.json'), '{"format": 1');
    const look = await here.look();
    expect(look.entries.map(({ manifest, flaw }) => [manifest.id, flaw])).toEqual([
      [shorter.id, 'its shop.dump.zst has 4 bytes there, 7 are recorded'],
      [missing.id, 'its shop.dump.zst is missing there'],
    ]);
    expect(look.unreadable.map(({ id, error }) => [id, error.code])).toEqual([
      [damaged.id, 'archive-corrupt'],
      [unfinished.id, 'backup-not-found'],
    ]);
  });

  test('a manifest of another place is refused', async () => {
    await using here = await stage();
    const one = await here.add(1);
    const text = here.destination.text(keyOf(one, 'manifest.json')) ?? '';
    const copy = { ...one, id: backupId(2) };
    await here.destination.put(
      keyOf(copy, 'manifest.json'),
      Buffer.from(text),
      { ifAbsent: false },
      NEVER,
    );
    const { unreadable } = await here.look();
    expect(unreadable.map(({ error }) => error.message)).toEqual([
      `${keyOf(copy, 'manifest.json')} at s3 is the manifest of demo/db/${one.id}`,
    ]);
  });

  test('has receipts, but those about other places', async () => {
    await using here = await stage();
    const one = await commitBackup(here.catalog, { id: backupId(1) });
    const at = '2026-01-01T00:00:00.000Z';
    await here.catalog.addReceipt({ manifest: one }, { type: 'damaged', at, message: 'torn' });
    await here.catalog.addReceipt({ manifest: one }, { type: 'pinned', at });
    await here.catalog.addReceipt({ manifest: one }, { type: 'verified', at, depth: 'stored' });
    await putCopy(here.destination, here.dir, one);
    const [entry] = (await here.look()).entries;
    expect(entry?.receipts.map(({ type }) => type)).toEqual(['pinned', 'verified']);
    expect(here.count('get')).toBe(3);
    expect((await here.look()).entries[0]?.receipts).toEqual(entry?.receipts);
    expect(here.count('get')).toBe(3);
  });

  test('fetches again what is another object now, and what the cache lost', async () => {
    await using here = await stage();
    const one = await here.add(1);
    const two = await here.add(2);
    await here.look();
    const text = here.destination.text(keyOf(one, 'manifest.json')) ?? '';
    here.destination.alter(keyOf(one, 'manifest.json'), `${text} `);
    await here.look();
    expect(here.count('get')).toBe(3);
    const cache = join(here.dir, '.backupd/remote/s3/demo/db.jsonl');
    const lines = (await readFile(cache, 'utf8')).trimEnd();
    await writeFile(cache, lines.slice(0, -10));
    expect((await here.look()).entries.map(({ manifest }) => manifest.id)).toEqual([
      two.id,
      one.id,
    ]);
    expect(here.count('get')).toBe(4);
    await rm(cache);
    await here.look();
    expect(here.count('get')).toBe(6);
  });

  test('forgets what is gone, once that is the larger part', async () => {
    await using here = await stage();
    const gone = await Promise.all([1, 2, 3].map((number) => here.add(number)));
    const kept = await here.add(4);
    await here.look();
    for (const manifest of gone) {
      here.destination.lose(keyOf(manifest, 'manifest.json'));
    }
    await here.look();
    const cache = join(here.dir, '.backupd/remote/s3/demo/db.jsonl');
    const lines = (await readFile(cache, 'utf8')).split('\n').filter((line) => line !== '');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(kept.id);
  });

  test('does without a cache where nothing can be written', async () => {
    await using here = await stage();
    await here.add(1);
    const dir = join(here.dir, 'file');
    await writeFile(dir, '');
    expect((await here.look({ dir: join(dir, 'below') })).entries).toHaveLength(1);
  });

  test('fetches 32 manifests at a time', async () => {
    await using here = await stage();
    for (let number = 0; number < 40; number += 1) {
      await here.add(number);
    }
    let [running, most] = [0, 0];
    here.destination.onRequest = async ({ method }) => {
      if (method === 'get') {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
      }
    };
    await here.look();
    expect(most).toBe(32);
  });

  test('what the destination refuses is told, and ends all', async () => {
    await using here = await stage();
    await here.add(1);
    here.destination.onRequest = ({ method }) => {
      if (method === 'get') {
        throw new Error('reset');
      }
    };
    await expect(here.look()).rejects.toThrow('reset');
  });
});

describe('where versions are kept', () => {
  test('what was deleted and overwritten is seen through', async () => {
    await using here = await stage({ keepsVersions: true });
    const manifest = await here.add(1);
    for (const name of ['manifest.json', 'shop.dump.zst']) {
      here.destination.alter(keyOf(manifest, name), 'ruined!');
      here.destination.lose(keyOf(manifest, name));
    }
    const [entry] = (await here.look()).entries;
    expect(entry).toMatchObject({ flaw: null, isHidden: true, manifest: { id: manifest.id } });
    if (entry !== undefined) {
      expect(await readRemoteManifest(here.destination, entry, NEVER)).toEqual(manifest);
    }
    expect((await here.look({ view: 'current' })).entries).toEqual([]);
  });

  test('what was sent again is what it was', async () => {
    await using here = await stage({ keepsVersions: true });
    const manifest = await here.add(1);
    const key = keyOf(manifest, 'shop.dump.zst');
    const text = here.destination.text(key) ?? '';
    here.destination.lose(key);
    expect((await here.look()).entries).toMatchObject([{ isHidden: true }]);
    here.destination.alter(key, text);
    expect((await here.look()).entries).toMatchObject([{ isHidden: false, flaw: null }]);
  });

  test('who may not ask for versions is told that they were not looked at', async () => {
    await using here = await stage({ keepsVersions: true, facts: { keepsVersions: null } });
    here.destination.lose(keyOf(await here.add(1), 'manifest.json'));
    expect(await here.look()).toMatchObject({ entries: [], isPartial: true });
    expect(await here.look({ view: 'current' })).toMatchObject({ isPartial: false });
    await using known = await stage({ keepsVersions: true });
    expect(await known.look()).toMatchObject({ isPartial: false });
  });

  test('a forged manifest does not hide the one that was there first', async () => {
    await using here = await stage({ keepsVersions: true });
    const manifest = await here.add(1);
    const forged = { ...manifest, files: [], databases: [] };
    here.destination.alter(keyOf(manifest, 'manifest.json'), JSON.stringify(forged));
    const [entry] = (await here.look()).entries;
    expect(entry?.manifest.files).toEqual(manifest.files);
    expect(entry?.isHidden).toBe(true);
  });
});

test('namespaces are those with backups', async () => {
  await using here = await stage();
  await here.add(1);
  const shop = { ...(await here.add(2)), namespace: 'shop' };
  await here.destination.put(
    keyOf(shop, 'manifest.json'),
    Buffer.from('{}'),
    { ifAbsent: false },
    NEVER,
  );
  for (const key of ['photos/2026/a.jpg', 'top.txt', 'empty/.backupd/owner.json']) {
    await here.destination.put(key, Buffer.from('1'), { ifAbsent: false }, NEVER);
  }
  expect(await findNamespaces(here.destination, NEVER)).toEqual(['demo', 'shop']);
});

test('of ten thousand backups each manifest is fetched once, and a second look fetches none', async () => {
  await using here = await stage();
  for (let number = 0; number < 10_000; number += 1) {
    const manifest = sampleManifest({ id: backupId(number) });
    const text = Buffer.from(JSON.stringify(manifest));
    for (const [name, bytes] of [
      ['shop.dump.zst', Buffer.from('archive')],
      ['manifest.json', text],
    ] as const) {
      await here.destination.put(keyOf(manifest, name), bytes, { ifAbsent: false }, NEVER);
    }
  }
  expect((await here.look({ source: 'db' })).entries).toHaveLength(10_000);
  expect([here.count('list'), here.count('get')]).toEqual([1, 10_000]);
  expect((await here.look({ source: 'db' })).entries).toHaveLength(10_000);
  expect([here.count('list'), here.count('get')]).toEqual([2, 10_000]);
}, 60_000);
