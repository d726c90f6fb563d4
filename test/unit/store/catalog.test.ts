import { mkdir, readdir, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isPinned, type Receipt } from '../../../src/core/catalog-entry.ts';
import type { Catalog } from '../../../src/store/catalog.ts';
import { backupId, commitBackup, emptyCatalog, sampleManifest } from '../../support/storage.ts';

const AT = '2026-02-01T00:00:00.000Z';

/** Makes all of a backup look older than the span in which a folder's time says too little. */
async function settle(dir: string, source: string, id: string): Promise<void> {
  const past = new Date(Date.now() - 60_000);
  const backup = join(dir, source, id);
  for (const path of [join(backup, 'receipts'), backup]) {
    await utimes(path, past, past).catch(() => {});
  }
}

async function ids(catalog: Catalog, source = 'db'): Promise<readonly string[]> {
  return (await catalog.entries(source)).map((entry) => entry.manifest.id);
}

describe('a draft', () => {
  test('becomes a backup by its commit', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    const id = backupId(1);
    await using draft = await catalog.draft('db', id);
    await writeFile(draft.path('shop.dump.zst'), 'archive');
    expect(await ids(catalog)).toEqual([]);
    expect(await catalog.sources()).toEqual([]);
    await draft.commit(sampleManifest({ id }));
    expect(await ids(catalog)).toEqual([id]);
    expect(await catalog.sources()).toEqual(['db']);
    expect(await catalog.manifest('db', id)).toEqual(sampleManifest({ id }));
    expect(catalog.path({ source: 'db', id }, 'shop.dump.zst')).toBe(
      join(dir, 'db', id, 'shop.dump.zst'),
    );
    for (const path of ['db', `db/${id}`]) {
      expect((await stat(join(dir, path))).mode & 0o777).toBe(0o700);
    }
    expect((await stat(join(dir, 'db', id, 'manifest.json'))).mode & 0o777).toBe(0o600);
  });

  test('that is not committed leaves nothing', async () => {
    await using fixture = await emptyCatalog();
    {
      await using draft = await fixture.catalog.draft('db', backupId(1));
      await writeFile(draft.path('shop.dump.zst'), 'archive');
      expect(await readdir(join(fixture.dir, 'db'))).toEqual([`${backupId(1)}.partial`]);
    }
    expect(await readdir(join(fixture.dir, 'db'))).toEqual([]);
  });

  test.each([
    ['missing', null],
    ['shorter than recorded', 'arch'],
    ['longer than recorded', 'archive and more'],
  ])('does not commit a file that is %s', async (_what, content) => {
    await using fixture = await emptyCatalog();
    const id = backupId(1);
    {
      await using draft = await fixture.catalog.draft('db', id);
      if (content !== null) {
        await writeFile(draft.path('shop.dump.zst'), content);
      }
      await expect(draft.commit(sampleManifest({ id }))).rejects.toMatchObject({
        code: 'storage-unavailable',
      });
    }
    expect(await readdir(join(fixture.dir, 'db'))).toEqual([]);
  });

  test('does not write over another one, or over a backup', async () => {
    await using fixture = await emptyCatalog();
    const { catalog } = fixture;
    await commitBackup(catalog, { id: backupId(1) });
    await using _draft = await catalog.draft('db', backupId(2));
    for (const number of [1, 2]) {
      await expect(catalog.draft('db', backupId(number))).rejects.toThrow('is there already');
    }
    expect(await ids(catalog)).toEqual([backupId(1)]);
  });
});

describe('entries', () => {
  test('are newest first and leave the facts out', async () => {
    await using fixture = await emptyCatalog();
    for (const number of [2, 30, 1, 9]) {
      await commitBackup(fixture.catalog, { id: backupId(number) });
    }
    const entries = await fixture.catalog.entries('db');
    expect(entries.map(({ manifest }) => manifest.id)).toEqual(
      [30, 9, 2, 1].map((n) => backupId(n)),
    );
    expect(entries[0]?.manifest).not.toHaveProperty('facts');
    expect(entries[0]?.manifest).not.toHaveProperty('engineFacts');
    expect(await fixture.catalog.entries('nowhere')).toEqual([]);
  });

  test('follow what other processes add, remove and say', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    const [one, two] = [backupId(1), backupId(2)];
    await commitBackup(catalog, { id: one });
    await settle(dir, 'db', one);
    expect(await ids(catalog)).toEqual([one]);
    const other = fixture.other();
    await commitBackup(other, { id: two });
    expect(await ids(catalog)).toEqual([two, one]);
    const manifest = { source: 'db', id: one };
    await other.addReceipt({ manifest }, { type: 'pinned', at: AT });
    await settle(dir, 'db', one);
    expect((await catalog.find(one)).receipts).toEqual([{ type: 'pinned', at: AT }]);
    await other.addReceipt({ manifest }, { type: 'unpinned', at: AT });
    expect((await catalog.find(one)).receipts).toHaveLength(2);
    await other.remove({ source: 'db', id: two });
    expect(await ids(catalog)).toEqual([one]);
  });

  test('see a second receipt of the same moment', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    const id = backupId(1);
    await commitBackup(catalog, { id });
    const receipts = join(dir, 'db', id, 'receipts');
    const now = new Date();
    for (const [index, type] of ['pinned', 'unpinned'].entries()) {
      await fixture.other().addReceipt(await catalog.find(id), { type, at: AT } as Receipt);
      await utimes(receipts, now, now);
      expect((await catalog.find(id)).receipts).toHaveLength(index + 1);
    }
  });

  test('notice a manifest that was taken away, and keep what they know where nothing changed', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    const id = backupId(1);
    await commitBackup(catalog, { id });
    await settle(dir, 'db', id);
    const [first] = await catalog.entries('db');
    const [second] = await catalog.entries('db');
    expect(second).toBe(first);
    await rm(join(dir, 'db', id, 'manifest.json'));
    expect(await ids(catalog)).toEqual([]);
  });
});

describe('find', () => {
  test('takes an id or a unique beginning, over all sources', async () => {
    await using fixture = await emptyCatalog();
    const { catalog } = fixture;
    await commitBackup(catalog, { id: backupId(1) });
    await commitBackup(catalog, { id: backupId(30), source: 'other' });
    expect((await catalog.find('20260102')).manifest.source).toBe('other');
    expect((await catalog.find(backupId(1))).manifest.source).toBe('db');
    await expect(catalog.find('2026')).rejects.toMatchObject({ code: 'usage' });
    await expect(catalog.find('2027')).rejects.toMatchObject({ code: 'backup-not-found' });
    await expect(catalog.find('')).rejects.toMatchObject({ code: 'backup-not-found' });
    await expect(catalog.find('../db')).rejects.toMatchObject({ code: 'backup-not-found' });
  });

  test('wants the source where two sources have one id', async () => {
    await using fixture = await emptyCatalog();
    const { catalog } = fixture;
    await commitBackup(catalog, { id: backupId(1) });
    await commitBackup(catalog, { id: backupId(1), source: 'other' });
    await expect(catalog.find(backupId(1))).rejects.toMatchObject({
      code: 'usage',
      hint: `Type it with its source: db/${backupId(1)}.`,
    });
    expect((await catalog.find(`other/${backupId(1)}`)).manifest.source).toBe('other');
  });

  test('says what is wrong with one that cannot be used', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    for (const [number, text] of [
      [1, '{"format":2}'],
      [2, '{"format":1'],
    ] as const) {
      await mkdir(join(dir, 'db', backupId(number)), { recursive: true });
      await writeFile(join(dir, 'db', backupId(number), 'manifest.json'), text);
    }
    await mkdir(join(dir, 'db', backupId(3)));
    for (const [number, code] of [
      [1, 'format-unsupported'],
      [2, 'archive-corrupt'],
      [3, 'archive-corrupt'],
    ] as const) {
      await expect(catalog.find(backupId(number))).rejects.toMatchObject({ code });
    }
  });
});

test('a link in place of the folder of a source is followed by nobody', async () => {
  await using fixture = await emptyCatalog();
  const { catalog, dir } = fixture;
  await commitBackup(catalog, { id: backupId(1) });
  await rename(join(dir, 'db'), join(dir, '.elsewhere'));
  await symlink(join(dir, '.elsewhere'), join(dir, 'db'));
  expect(await catalog.sources()).toEqual([]);
  expect(await catalog.entries('db')).toEqual([]);
  await expect(catalog.sweep('db')).rejects.toMatchObject({
    code: 'storage-unavailable',
    message: expect.stringContaining('is a link') as string,
  });
  expect((await catalog.problems()).map(({ path }) => path)).toEqual([join(dir, 'db')]);
});

describe('remove', () => {
  test('leaves nothing', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    await commitBackup(catalog, { id: backupId(1) });
    await commitBackup(catalog, { id: backupId(2) });
    expect(await catalog.remove({ source: 'db', id: backupId(1) })).toBe(true);
    expect(await readdir(join(dir, 'db'))).toEqual([backupId(2)]);
    await expect(
      catalog.addReceipt(
        { manifest: { source: 'db', id: backupId(1) } },
        { type: 'pinned', at: AT },
      ),
    ).rejects.toMatchObject({ code: 'backup-not-found' });
    await expect(catalog.manifest('db', backupId(1))).rejects.toMatchObject({
      code: 'backup-not-found',
    });
  });

  test('leaves what somebody pinned meanwhile, also where a removal was cut short', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    const id = backupId(1);
    await commitBackup(catalog, { id });
    await catalog.addReceipt(await catalog.find(id), { type: 'pinned', at: AT });
    expect(await catalog.remove({ source: 'db', id })).toBe(false);
    expect(await ids(catalog)).toEqual([id]);
    await rename(join(dir, 'db', id), join(dir, 'db', `${id}.removed`));
    expect(await catalog.sweep('db')).toEqual([]);
    expect(isPinned(await catalog.find(id))).toBe(true);
  });
});
