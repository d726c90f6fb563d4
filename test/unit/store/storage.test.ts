import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCatalog } from '../../../src/store/catalog.ts';
import { openStorage, type StorageOptions } from '../../../src/store/storage.ts';
import { runStoreProcess } from '../../support/run-store-process.ts';
import { backupId, commitBackup, temporaryFolder } from '../../support/storage.ts';
import { notRoot, unreadable } from '../../support/unreadable.ts';

function options(changes: Partial<StorageOptions> = {}): StorageOptions {
  return {
    namespace: null,
    fallbackNamespace: () => Promise.resolve('demo'),
    access: 'write',
    ...changes,
  };
}

describe('opened for writing', () => {
  test('an empty directory gets an identity and a namespace, once', async () => {
    await using folder = await temporaryFolder();
    const first = await openStorage(folder.dir, options());
    expect(first.identity).toMatch(/^[0-9a-f]{16}$/);
    expect(first.namespace).toBe('demo');
    const second = await openStorage(
      folder.dir,
      options({ fallbackNamespace: () => Promise.resolve('other') }),
    );
    expect(second.identity).toBe(first.identity);
    expect(second.namespace).toBe('demo');
    expect(await readFile(join(folder.dir, '.backupd', 'namespace'), 'utf8')).toBe('demo\n');
  });

  test('a configured namespace is recorded, and another one refused, naming both', async () => {
    await using folder = await temporaryFolder();
    await openStorage(folder.dir, options({ namespace: 'one' }));
    expect((await openStorage(folder.dir, options())).namespace).toBe('one');
    for (const access of ['read', 'write'] as const) {
      const second = openStorage(folder.dir, options({ namespace: 'two', access }));
      await expect(second).rejects.toMatchObject({ code: 'config-invalid' });
      await expect(second).rejects.toThrow(/"one".*"two"/);
    }
  });

  test('by several at once, all agree', async () => {
    await using folder = await temporaryFolder();
    const opened = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) =>
        openStorage(folder.dir, options({ fallbackNamespace: () => Promise.resolve(name) })),
      ),
    );
    expect(new Set(opened.map(({ identity }) => identity)).size).toBe(1);
    expect(new Set(opened.map(({ namespace }) => namespace)).size).toBe(1);
  });

  test('a damaged namespace is found again in the manifests', async () => {
    await using folder = await temporaryFolder();
    await openStorage(folder.dir, options({ namespace: 'shop' }));
    const catalog = openCatalog({ dir: folder.dir, namespace: 'shop' });
    await commitBackup(catalog, { id: backupId(1), namespace: 'shop' });
    const path = join(folder.dir, '.backupd', 'namespace');
    await writeFile(path, '\0'.repeat(5));
    for (const access of ['read', 'write'] as const) {
      expect((await openStorage(folder.dir, options({ access }))).namespace).toBe('shop');
    }
    expect(await readFile(path, 'utf8')).toBe('shop\n');
  });

  test('is opened though something in it cannot be read', async () => {
    using _user = notRoot();
    await using folder = await temporaryFolder();
    const catalog = openCatalog({ dir: folder.dir, namespace: 'shop' });
    await commitBackup(catalog, { id: backupId(1), namespace: 'shop' });
    const closed = join(folder.dir, 'closed');
    await mkdir(closed);
    await using _closed = await unreadable(closed);
    expect((await openStorage(folder.dir, options())).namespace).toBe('shop');
  });

  test('one that lost its identity keeps its namespace', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.dir, '.backupd'));
    await writeFile(join(folder.dir, '.backupd', 'namespace'), 'kept\n');
    const { identity, namespace } = await openStorage(folder.dir, options());
    expect(namespace).toBe('kept');
    expect(identity).toHaveLength(16);
  });
});

describe('backups that were copied without our own state', () => {
  test('bring their namespace along', async () => {
    await using folder = await temporaryFolder();
    const catalog = openCatalog({ dir: folder.dir, namespace: 'shop' });
    await commitBackup(catalog, { id: backupId(1), namespace: 'shop' });
    await commitBackup(catalog, { id: backupId(2), namespace: 'shop', source: 'other' });
    expect(await openStorage(folder.dir, options({ access: 'read' }))).toMatchObject({
      identity: '',
      namespace: 'shop',
    });
    await expect(openStorage(folder.dir, options({ namespace: 'two' }))).rejects.toMatchObject({
      code: 'config-invalid',
    });
    expect((await openStorage(folder.dir, options())).namespace).toBe('shop');
  });

  test('of several namespaces bring none', async () => {
    await using folder = await temporaryFolder();
    for (const [number, namespace] of ['one', 'two'].entries()) {
      const catalog = openCatalog({ dir: folder.dir, namespace });
      await commitBackup(catalog, { id: backupId(number), namespace, source: namespace });
    }
    expect((await openStorage(folder.dir, options())).namespace).toBe('demo');
  });

  test('that are damaged or newer bring none and stop nothing', async () => {
    await using folder = await temporaryFolder();
    for (const [source, text] of [
      ['damaged', '{'],
      ['newer', '{"format":2}'],
    ] as const) {
      const backup = join(folder.dir, source, backupId(1));
      await mkdir(backup, { recursive: true });
      await writeFile(join(backup, 'manifest.json'), text);
    }
    expect((await openStorage(folder.dir, options())).namespace).toBe('demo');
  });
});

describe('opened for reading', () => {
  test('creates nothing', async () => {
    await using folder = await temporaryFolder();
    const storage = await openStorage(folder.dir, options({ access: 'read' }));
    expect(storage).toMatchObject({ identity: '', namespace: 'demo' });
    expect(await readdir(folder.dir)).toEqual([]);
  });
});

describe('a directory that cannot be used', () => {
  test.each(['read', 'write'] as const)('is storage-unavailable: missing, %s', async (access) => {
    await using folder = await temporaryFolder();
    const missing = join(folder.dir, 'missing');
    const opening = openStorage(missing, options({ access }));
    await expect(opening).rejects.toMatchObject({ code: 'storage-unavailable' });
    await expect(opening).rejects.toThrow(missing);
    expect(await readdir(folder.dir)).toEqual([]);
  });

  test.each(['read', 'write'] as const)('is storage-unavailable: a file, %s', async (access) => {
    await using folder = await temporaryFolder();
    const file = join(folder.dir, 'file');
    await writeFile(file, '');
    await expect(openStorage(file, options({ access }))).rejects.toMatchObject({
      code: 'storage-unavailable',
    });
  });

  test('is storage-unavailable: not ours to write, and still readable', async () => {
    await using folder = await temporaryFolder();
    await chmod(folder.dir, 0o555);
    // Root may write anywhere, so it sends nobody.
    const user = process.getuid?.() === 0 ? { uid: 65_534 } : {};
    const { said } = await runStoreProcess('open-storage', folder.dir, 'demo', user);
    expect(said).toMatchObject({ code: 'storage-unavailable' });
    expect((said as { message: string }).message).toContain('permission denied');
    expect(await readdir(folder.dir)).toEqual([]);
    await openStorage(folder.dir, options({ access: 'read' }));
    await chmod(folder.dir, 0o700);
  });
});

test('what is written is for nobody else', async () => {
  await using folder = await temporaryFolder();
  await openStorage(folder.dir, options());
  const entries = await readdir(folder.dir, { withFileTypes: true, recursive: true });
  expect(entries.length).toBeGreaterThan(3);
  for (const entry of entries) {
    const { mode } = await stat(join(entry.parentPath, entry.name));
    expect([entry.name, mode & 0o777]).toEqual([entry.name, entry.isDirectory() ? 0o700 : 0o600]);
  }
});

test('space is told in bytes', async () => {
  await using folder = await temporaryFolder();
  const { freeBytes, sizeBytes } = await (await openStorage(folder.dir, options())).space();
  expect(freeBytes).toBeGreaterThan(1_000_000);
  expect(sizeBytes).toBeGreaterThanOrEqual(freeBytes);
});
