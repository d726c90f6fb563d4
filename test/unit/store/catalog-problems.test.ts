import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { recordSource } from '../../../src/store/known-sources.ts';
import { backupId, commitBackup, emptyCatalog, sampleManifest } from '../../support/storage.ts';
import { notRoot, unreadable } from '../../support/unreadable.ts';
import { boundSource } from '../cli/paper-source.ts';

const AT = '2026-02-01T00:00:00.000Z';

describe('what is foreign or damaged', () => {
  test('is told, never counted, never swept', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    await commitBackup(catalog, { id: backupId(1) });
    await commitBackup(catalog, { id: backupId(2) });
    const db = join(dir, 'db');
    async function backup(name: string, manifest: string | null): Promise<void> {
      await mkdir(join(db, name));
      await writeFile(join(db, name, 'shop.dump.zst'), 'archive');
      if (manifest !== null) {
        await writeFile(join(db, name, 'manifest.json'), manifest);
      }
    }
    await backup(backupId(10), null);
    await backup(backupId(11), 'not json');
    await backup(backupId(12), '{"format":2}');
    await backup(backupId(13), JSON.stringify(sampleManifest({ id: backupId(99) })));
    const foreign = sampleManifest({ id: backupId(14), namespace: 'foreign' });
    await backup(backupId(14), JSON.stringify(foreign));
    await backup('holiday photos', null);
    await writeFile(join(db, 'notes.txt'), '');
    await mkdir(join(dir, 'photos', '2026'), { recursive: true });
    await mkdir(join(dir, 'Upper Case'));
    await mkdir(join(dir, 'lost+found'));
    await mkdir(join(dir, '.snapshots'));
    await mkdir(join(dir, 'empty'));
    // Ours, and nothing to complain of.
    await mkdir(join(db, `${backupId(15)}.partial`));
    await mkdir(join(db, `${backupId(16)}.removed`));

    const problems = await catalog.problems();
    const expected = [
      join(dir, 'Upper Case'),
      ...[10, 11, 12, 13, 14].map((number) => join(db, backupId(number))),
      join(db, 'holiday photos'),
      join(db, 'notes.txt'),
      join(dir, 'photos'),
    ];
    expect(problems.map(({ path }) => path).toSorted()).toEqual(expected.toSorted());
    expect(problems.every(({ hint, message }) => hint.endsWith('.') && message !== '')).toBe(true);
    expect((await catalog.entries('db')).map(({ manifest }) => manifest.id)).toEqual([
      backupId(2),
      backupId(1),
    ]);
    expect(await catalog.sources()).toEqual(['db']);
    expect(await catalog.all()).toHaveLength(2);
    expect(await catalog.sweep('db')).toEqual([
      `${backupId(15)}.partial`,
      `${backupId(16)}.removed`,
    ]);
    expect(await readdir(db)).toHaveLength(9);
    expect(await catalog.problems()).toHaveLength(expected.length);
  });

  test('covers receipts and our own state', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    const id = backupId(1);
    await commitBackup(catalog, { id });
    await catalog.addReceipt(await catalog.find(id), { type: 'pinned', at: AT });
    const damaged = join(dir, 'db', id, 'receipts', '0002-verified.json');
    await writeFile(damaged, '{');
    const journal = join(dir, '.backupd', 'journals', 'db.json');
    await mkdir(join(dir, '.backupd', 'journals'), { recursive: true });
    await writeFile(journal, '');
    const odd = join(dir, '.backupd', 'journals', 'web.json');
    await writeFile(odd, '{}');
    const folder = join(dir, '.backupd', 'journals', 'x.json');
    await mkdir(folder);
    expect((await catalog.problems()).map(({ path }) => path)).toEqual([
      damaged,
      journal,
      odd,
      folder,
    ]);
    expect((await catalog.find(id)).receipts).toEqual([{ type: 'pinned', at: AT }]);
  });

  test('covers archives whose size is wrong, that are missing, or that were found damaged', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    const ids = [1, 2, 3, 4, 5].map((number) => backupId(number));
    for (const id of ids) {
      await commitBackup(catalog, { id });
    }
    const [, cut = '', missing = '', damaged = '', healed = ''] = ids;
    await writeFile(join(dir, 'db', cut, 'shop.dump.zst'), 'archiv');
    await rm(join(dir, 'db', missing, 'shop.dump.zst'));
    const found = { type: 'damaged', at: AT, message: 'its hash differs' } as const;
    await catalog.addReceipt(await catalog.find(damaged), found);
    await catalog.addReceipt(await catalog.find(healed), found);
    await catalog.addReceipt(await catalog.find(healed), {
      type: 'verified',
      at: AT,
      depth: 'content',
    });

    const problems = await catalog.problems();
    expect(new Map(problems.map(({ path, message }) => [path, message]))).toEqual(
      new Map([
        [join(dir, 'db', cut), 'its shop.dump.zst has 6 bytes, 7 are recorded'],
        [join(dir, 'db', missing), 'its shop.dump.zst is missing'],
        [join(dir, 'db', damaged), `was found damaged at ${AT}: its hash differs`],
      ]),
    );
  });
});

describe('what cannot be read', () => {
  test('is a problem, and keeps nothing else from being seen', async () => {
    using _user = notRoot();
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    const other = join(dir, 'other');
    const journals = join(dir, '.backupd', 'journals');
    await commitBackup(catalog, { id: backupId(1) });
    await mkdir(other);
    await mkdir(journals, { recursive: true });
    await writeFile(join(journals, 'db.json'), '');
    await writeFile(join(journals, 'web.json'), '');
    await using _folder = await unreadable(other);
    await using _state = await unreadable(join(journals, 'db.json'));
    const looped = join(dir, 'db', backupId(1), 'shop.dump.zst');
    await rm(looped);
    await symlink(looped, looped);

    const problems = await catalog.problems();
    expect(problems.map(({ path }) => path).toSorted()).toEqual(
      [
        join(dir, 'db', backupId(1)),
        other,
        join(journals, 'db.json'),
        join(journals, 'web.json'),
      ].toSorted(),
    );
    const [, second] = problems;
    expect(second?.message).toContain('permission denied');
    expect(second?.hint).toContain('Let the user');
    expect(await catalog.all()).toHaveLength(1);
    // Nothing says that it is ours.
    expect(await catalog.sources()).toEqual(['db']);
  });

  test('is told to who asks for it where it is that of a source', async () => {
    using _user = notRoot();
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    await commitBackup(catalog, { id: backupId(1) });
    await commitBackup(catalog, { id: backupId(2), source: 'web' });
    await recordSource(dir, boundSource('db').job);
    await using _folder = await unreadable(join(dir, 'db'));
    expect(await catalog.sources()).toEqual(['db', 'web']);
    await expect(catalog.entries('db')).rejects.toMatchObject({ code: 'storage-unavailable' });
    expect((await catalog.all()).map(({ manifest }) => manifest.source)).toEqual(['web']);
  });
});
