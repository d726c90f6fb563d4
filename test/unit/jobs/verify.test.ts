import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BackupdError } from '../../../src/core/errors.ts';
import { verifyBackups } from '../../../src/jobs/verify.ts';
import type { Catalog } from '../../../src/store/catalog.ts';
import { recordSource } from '../../../src/store/known-sources.ts';
import { goldenArchive } from '../../support/archives.ts';
import { goldenCatalog, type GoldenCatalog } from '../../support/golden-catalog.ts';
import { containing, having } from '../../support/matchers.ts';
import { backupId, sampleJob } from '../../support/storage.ts';

const NEVER = new AbortController().signal;
const ALL = { source: null, id: null };

describe('verifyBackups', () => {
  test('reads every backup to its end, newest first, and writes that down', async () => {
    await using here = await goldenCatalog();
    const older = await here.add(1);
    const newer = await here.add(2);
    const checkedBytes = older.files[0]?.storedBytes;
    expect(await verifyBackups(ALL, here.app, NEVER)).toEqual(
      [newer, older].map(({ id }) => ({
        id,
        source: 'db',
        ok: true,
        depth: 'content',
        checkedBytes,
        failure: null,
      })),
    );
    expect(await here.receipts(older)).toEqual([having({ type: 'verified', depth: 'content' })]);
    expect(here.events.filter(({ type }) => type === 'verified')).toEqual(
      [newer, older].map(({ id }) => ({ type: 'verified', source: 'db', id, failure: null })),
    );
  });

  test('tells of a damaged one, writes that down, and goes on', async () => {
    await using here = await goldenCatalog();
    const whole = await here.add(1);
    const missing = await here.add(2);
    const changed = await here.add(3);
    await rm(here.path(missing));
    await writeFile(here.path(changed), Buffer.alloc(changed.files[0]?.storedBytes ?? 0));
    const found = await verifyBackups(ALL, here.app, NEVER);
    expect(found.map(({ id, ok }) => [id, ok])).toEqual([
      [changed.id, false],
      [missing.id, false],
      [whole.id, true],
    ]);
    expect(found[1]?.failure).toMatchObject({
      code: 'archive-corrupt',
      message: `${missing.id}/small.dump.zst: is missing`,
    });
    expect(await here.receipts(changed)).toEqual([having({ type: 'damaged' })]);
    expect(await here.receipts(missing)).toEqual([
      having({ type: 'damaged', message: containing('is missing') }),
    ]);
    expect(await here.receipts(whole)).toEqual([having({ type: 'verified' })]);
  });

  test('sees with the format what no hash tells', async () => {
    await using here = await goldenCatalog();
    await here.add(1, {}, (await goldenArchive('small-17')).subarray(0, -5));
    expect(await verifyBackups(ALL, here.app, NEVER)).toEqual([
      having({ ok: false, failure: having({ code: 'archive-corrupt' }) }),
    ]);
  });

  test('of what it has no key for, looks at the stored bytes alone', async () => {
    await using here = await goldenCatalog();
    await here.add(1, { encryption: { scheme: 'age', keyIds: ['k'] } });
    const app = {
      ...here.app,
      reader(): never {
        throw new Error('no reader for encrypted bytes');
      },
    };
    expect(await verifyBackups(ALL, app, NEVER)).toEqual([having({ ok: true, depth: 'stored' })]);
  });

  test('a damaged or lost manifest is a failure of that backup, of which nothing is written', async () => {
    await using here = await goldenCatalog();
    const whole = await here.add(1);
    const cut = await here.add(2);
    const lost = await here.add(3);
    await writeFile(here.path(cut, 'manifest.json'), '{"format":1');
    await rm(here.path(lost, 'manifest.json'));
    const found = await verifyBackups({ source: 'db', id: null }, here.app, NEVER);
    expect(found.map(({ id, failure }) => [id, failure?.code ?? null])).toEqual([
      [lost.id, 'archive-corrupt'],
      [cut.id, 'archive-corrupt'],
      [whole.id, null],
    ]);
    expect(await readdir(join(here.dir, 'db', lost.id))).toEqual(['small.dump.zst']);
  });

  test('what cannot be read for now is not called damaged', async () => {
    await using here = await goldenCatalog();
    const backup = await here.add(1);
    await here.add(2, {
      files: backup.files.map((file) => ({ ...file, format: 'of-the-future' })),
    });
    const found = await verifyBackups(ALL, here.app, NEVER);
    expect(found.map(({ failure }) => failure?.code)).toEqual(['format-unsupported', undefined]);
    expect(await here.receipts({ ...backup, id: backupId(2) })).toEqual([]);
  });

  test('a receipt that cannot be written is a failure', async () => {
    await using here = await goldenCatalog();
    await here.add(1);
    const { catalog } = here.app.context;
    function withReceipts(code: 'no-space' | 'backup-not-found'): GoldenCatalog['app'] {
      const failing: Catalog = {
        ...catalog,
        addReceipt: () => Promise.reject(new BackupdError(code, 'it failed')),
      };
      const context = { ...here.app.context, catalog: failing };
      return { ...here.app, context };
    }
    expect(await verifyBackups(ALL, withReceipts('no-space'), NEVER)).toEqual([
      having({ ok: false, failure: having({ code: 'no-space' }) }),
    ]);
    // Removed by retention after it was read.
    expect(await verifyBackups(ALL, withReceipts('backup-not-found'), NEVER)).toEqual([]);
  });

  test('takes one source, or one backup by the beginning of its id', async () => {
    await using here = await goldenCatalog();
    const one = await here.add(1);
    await here.add(2);
    await here.add(3, { source: 'shop' });
    const ofShop = await verifyBackups({ source: 'shop', id: null }, here.app, NEVER);
    expect(ofShop.map(({ source }) => source)).toEqual(['shop']);
    const ofOne = await verifyBackups({ source: null, id: one.id.slice(0, 15) }, here.app, NEVER);
    expect(ofOne.map(({ id }) => id)).toEqual([one.id]);
  });

  test('knows sources without backups, and no others', async () => {
    await using here = await goldenCatalog();
    await here.add(1);
    await recordSource(here.dir, sampleJob({ source: 'new' }));
    expect(await verifyBackups({ source: 'new', id: null }, here.app, NEVER)).toEqual([]);
    await expect(verifyBackups({ source: 'bd', id: null }, here.app, NEVER)).rejects.toMatchObject({
      code: 'source-not-found',
      hint: 'There are: db, new.',
    });
    await expect(
      verifyBackups({ source: null, id: '2031' }, here.app, NEVER),
    ).rejects.toMatchObject({ code: 'backup-not-found' });
  });

  test('stops with the reason of the signal', async () => {
    await using here = await goldenCatalog();
    const backup = await here.add(1);
    const reason = new BackupdError('cancelled', 'enough');
    await expect(verifyBackups(ALL, here.app, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(await here.receipts(backup)).toEqual([]);
  });
});
