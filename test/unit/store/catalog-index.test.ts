import { mkdir, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { isDue } from '../../../src/store/catalog-index.ts';
import type { Catalog } from '../../../src/store/catalog.ts';
import { backupId, emptyCatalog, sampleManifest } from '../../support/storage.ts';

const MANY = 100;
/** More turns than it takes to come to each of them once. */
const TURNS = 20;
const AT = '2026-02-01T00:00:00.000Z';

/** A source with many backups, all of whose folders have not changed for a while. */
async function fill(dir: string): Promise<void> {
  for (let number = 0; number < MANY; number += 1) {
    const manifest = sampleManifest({ id: backupId(number) });
    const folder = join(dir, 'db', manifest.id);
    await mkdir(join(folder, 'receipts'), { recursive: true });
    await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
    await writeFile(join(folder, 'shop.dump.zst'), 'archive');
  }
  await settle(dir);
}

async function settle(dir: string): Promise<void> {
  const past = new Date(Date.now() - 60_000);
  const source = join(dir, 'db');
  for (const name of await readdir(source)) {
    await utimes(join(source, name, 'receipts'), past, past);
    await utimes(join(source, name), past, past);
  }
  await utimes(source, past, past);
}

async function count(catalog: Catalog): Promise<number> {
  return (await catalog.entries('db')).length;
}

describe('of a source whose folder did not change', () => {
  test.each([1, 5, 16, 17, 100, 101, 500])('each of %i is looked at again in time', (count) => {
    const seen = new Set<number>();
    for (let turn = 0; turn < Math.ceil(count / 12); turn += 1) {
      for (let index = 0; index < count; index += 1) {
        if (isDue(index, count, turn)) {
          seen.add(index);
        }
      }
    }
    expect(seen.size).toBe(count);
  });

  test('the newest are looked at every time, and no more than some', () => {
    for (const turn of [0, 1, 7, 1000]) {
      const due = Array.from({ length: MANY }, (_, index) => isDue(index, MANY, turn));
      expect(due.slice(0, 4)).toEqual([true, true, true, true]);
      expect(due.filter(Boolean).length).toBeLessThanOrEqual(16);
    }
  });

  test('what somebody did to an old backup by hand is found in time', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    await fill(dir);
    expect(await count(catalog)).toBe(MANY);
    expect(await catalog.problems()).toEqual([]);
    await rm(join(dir, 'db', backupId(30), 'manifest.json'));
    await truncate(join(dir, 'db', backupId(60), 'shop.dump.zst'), 3);
    await settle(dir);
    vi.useFakeTimers({ toFake: ['performance'] });
    for (let turn = 0; turn < TURNS; turn += 1) {
      vi.advanceTimersByTime(1000);
      await catalog.problems();
    }
    vi.useRealTimers();
    expect(await count(catalog)).toBe(MANY - 1);
    expect((await catalog.problems()).map(({ path }) => path).toSorted()).toEqual([
      join(dir, 'db', backupId(30)),
      join(dir, 'db', backupId(60)),
    ]);
  });
});

test('a receipt that another process writes is seen at once, however old the backup is', async () => {
  await using fixture = await emptyCatalog();
  const { catalog, dir } = fixture;
  await fill(dir);
  const id = backupId(50);
  expect((await catalog.find(id)).receipts).toEqual([]);
  await fixture.other().addReceipt({ manifest: { source: 'db', id } }, { type: 'pinned', at: AT });
  expect((await catalog.find(id)).receipts).toEqual([{ type: 'pinned', at: AT }]);
});

test('backups that another process adds or removes are seen at once', async () => {
  await using fixture = await emptyCatalog();
  const { catalog, dir } = fixture;
  await fill(dir);
  expect(await count(catalog)).toBe(MANY);
  await fixture.other().remove({ source: 'db', id: backupId(50) });
  expect(await count(catalog)).toBe(MANY - 1);
});
