import { rm } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { copyBackupFile } from '../../../src/jobs/cat.ts';
import { goldenArchive } from '../../support/archives.ts';
import { goldenCatalog, type GoldenCatalog } from '../../support/golden-catalog.ts';

const NEVER = new AbortController().signal;

interface Copied {
  readonly bytes: Buffer;
  /** Null where it succeeded. */
  readonly error: unknown;
}

async function copy(here: GoldenCatalog, id: string, file = 'small.dump.zst'): Promise<Copied> {
  const to = new PassThrough();
  const pieces: Buffer[] = [];
  to.on('data', (piece: Buffer) => pieces.push(piece));
  const error = await copyBackupFile({ id, file, to }, here.app, NEVER).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return { bytes: Buffer.concat(pieces), error };
}

describe('copyBackupFile', () => {
  test('writes the plain bytes of a file, and fails where they are not right', async () => {
    await using here = await goldenCatalog();
    const backup = await here.add(1);
    const typed = backup.id.slice(0, 15);
    expect(await copy(here, typed)).toEqual({
      bytes: await goldenArchive('small-17'),
      error: null,
    });
    await rm(here.path(backup));
    expect((await copy(here, typed)).error).toMatchObject({ code: 'archive-corrupt' });
  });

  test('fails after its last byte where the format is not whole', async () => {
    await using here = await goldenCatalog();
    const archive = (await goldenArchive('small-17')).subarray(0, -5);
    const { id } = await here.add(1, {}, archive);
    const { bytes, error } = await copy(here, id);
    expect(bytes.equals(archive)).toBe(true);
    expect(error).toMatchObject({ code: 'archive-corrupt' });
  });

  test('names the files there are', async () => {
    await using here = await goldenCatalog();
    const { id } = await here.add(1);
    expect((await copy(here, id, 'manifest.json')).error).toMatchObject({
      code: 'backup-not-found',
      hint: 'It has small.dump.zst.',
    });
  });
});
