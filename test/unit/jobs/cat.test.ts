import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { openBackupFile } from '../../../src/jobs/cat.ts';
import { goldenArchive, readAll } from '../../support/archives.ts';
import { goldenCatalog } from '../../support/golden-catalog.ts';

const NEVER = new AbortController().signal;

describe('openBackupFile', () => {
  test('gives the plain bytes of a file, and fails where they are not right', async () => {
    await using here = await goldenCatalog();
    const backup = await here.add(1);
    const typed = backup.id.slice(0, 15);
    const whole = await openBackupFile(typed, 'small.dump.zst', here.app, NEVER);
    const { bytes, error } = await readAll(whole);
    expect([bytes.equals(await goldenArchive('small-17')), error]).toEqual([true, null]);
    await rm(here.path(backup));
    const gone = await openBackupFile(typed, 'small.dump.zst', here.app, NEVER);
    expect((await readAll(gone)).error).toMatchObject({ code: 'archive-corrupt' });
  });

  test('fails after its last byte where the format is not whole', async () => {
    await using here = await goldenCatalog();
    const archive = (await goldenArchive('small-17')).subarray(0, -5);
    const { id } = await here.add(1, {}, archive);
    const { bytes, error } = await readAll(
      await openBackupFile(id, 'small.dump.zst', here.app, NEVER),
    );
    expect(bytes.equals(archive)).toBe(true);
    expect(error).toMatchObject({ code: 'archive-corrupt' });
  });

  test('names the files there are', async () => {
    await using here = await goldenCatalog();
    const { id } = await here.add(1);
    await expect(openBackupFile(id, 'manifest.json', here.app, NEVER)).rejects.toMatchObject({
      code: 'backup-not-found',
      hint: 'It has small.dump.zst.',
    });
  });
});
