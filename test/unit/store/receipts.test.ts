import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Receipt } from '../../../src/core/catalog-entry.ts';
import { runStoreProcess } from '../../support/run-store-process.ts';
import { backupId, commitBackup, emptyCatalog } from '../../support/storage.ts';

const AT = '2026-02-01T00:00:00.000Z';

describe('receipts', () => {
  test('come back in the order in which they were written', async () => {
    await using fixture = await emptyCatalog();
    const { catalog } = fixture;
    const receipt = fc.record({
      type: fc.constantFrom('pinned', 'unpinned', 'verified', 'damaged'),
      at: fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      message: fc.string(),
    }) as fc.Arbitrary<Receipt>;
    let number = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(receipt, { maxLength: 12 }), async (receipts) => {
        number += 1;
        const manifest = await commitBackup(catalog, { id: backupId(number) });
        for (const one of receipts) {
          await catalog.addReceipt({ manifest }, one);
        }
        expect((await catalog.find(manifest.id)).receipts).toEqual(receipts);
      }),
      { numRuns: 20 },
    );
  });

  test.each([
    ['one process', 1, 60],
    ['several processes', 3, 20],
  ])(
    'written by %s at once are all there, each under a number of its own',
    async (_who, processes, each) => {
      await using fixture = await emptyCatalog();
      const { catalog, dir } = fixture;
      const id = backupId(1);
      await commitBackup(catalog, { id });
      await Promise.all(
        Array.from({ length: processes }, () => runStoreProcess('receipts', dir, each)),
      );
      const files = await readdir(join(dir, 'db', id, 'receipts'));
      expect(new Set(files.map((file) => file.slice(0, 4))).size).toBe(60);
      const { receipts } = await catalog.find(id);
      const said = receipts.map((receipt) => (receipt.type === 'damaged' ? receipt.message : ''));
      expect(new Set(said).size).toBe(60);
    },
  );

  test('give way to one that took their number at the last moment', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    const id = backupId(1);
    await commitBackup(catalog, { id });
    await runStoreProcess('step-receipt-overtaken', dir);
    expect(await readdir(join(dir, 'db', id, 'receipts'))).toEqual([
      '0001-unpinned.json',
      '0002-pinned.json',
    ]);
  });

  test('of a newer backupd come along', async () => {
    await using fixture = await emptyCatalog();
    const id = backupId(1);
    await commitBackup(fixture.catalog, { id });
    const drilled = { type: 'drilled', at: AT, recoveryMs: 1000 };
    await mkdir(join(fixture.dir, 'db', id, 'receipts'));
    const path = join(fixture.dir, 'db', id, 'receipts', '12-drilled.json');
    await writeFile(path, JSON.stringify(drilled));
    await fixture.catalog.addReceipt(await fixture.catalog.find(id), { type: 'pinned', at: AT });
    expect((await fixture.catalog.find(id)).receipts).toEqual([
      drilled,
      { type: 'pinned', at: AT },
    ]);
  });
});
