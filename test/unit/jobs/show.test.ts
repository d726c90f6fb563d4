import { expect, test } from 'vitest';
import type { Receipt } from '../../../src/core/catalog-entry.ts';
import { showBackup } from '../../../src/jobs/show.ts';
import { goldenCatalog } from '../../support/golden-catalog.ts';

const NEVER = new AbortController().signal;

test('showBackup gives the whole manifest and the receipts', async () => {
  await using here = await goldenCatalog();
  const backup = await here.add(1);
  const pinned: Receipt = { type: 'pinned', at: '2026-02-01T00:00:00.000Z' };
  await here.app.context.catalog.addReceipt({ manifest: backup }, pinned);
  expect(await showBackup(backup.id.slice(0, 15), here.app, NEVER)).toEqual({
    manifest: backup,
    receipts: [pinned],
  });
});
