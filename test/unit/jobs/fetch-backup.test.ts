import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { BackupdError } from '../../../src/core/errors.ts';
import { isDamaged, verifiedAt } from '../../../src/core/catalog-entry.ts';
import { fetchBackup } from '../../../src/jobs/fetch-backup.ts';
import { goldenArchive } from '../../support/archives.ts';
import { copyStage, keyOf } from '../../support/copy-stage.ts';
import { containing, having } from '../../support/matchers.ts';

const NEVER = new AbortController().signal;
const MIB = 1024 * 1024;

describe('fetchBackup', () => {
  test('makes a copy a backup here, with its manifest and its pins', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { bytes: 40 * MIB });
    const at = '2026-01-01T00:00:00.000Z';
    const pin = Buffer.from(JSON.stringify({ type: 'pinned', at }));
    await here.destination.put(
      keyOf(manifest, 'receipts/0007-pinned.json'),
      pin,
      { ifAbsent: false },
      NEVER,
    );
    await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
    const { catalog } = here.app.context;
    expect(await catalog.manifest('db', manifest.id)).toEqual(manifest);
    const entry = await catalog.find(manifest.id);
    expect(entry.receipts).toEqual([
      { type: 'pinned', at },
      having({ type: 'verified', depth: 'stored' }),
    ]);
    expect((await stat(here.path(manifest))).size).toBe(40 * MIB);
    expect((await stat(here.path(manifest))).mode % 0o1000).toBe(0o600);
    // Three ranges.
    expect(here.destination.requests.filter(({ method }) => method === 'read')).toHaveLength(3);
    expect(here.app.events.at(-1)).toEqual(
      having({ type: 'fetched', destination: 's3', bytes: 40 * MIB }),
    );
    await expect(stat(join(here.dir, '.backupd/downloads/db', manifest.id))).rejects.toThrow(
      'ENOENT',
    );
  });

  test('goes on with the ranges that are there', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { bytes: 100 * MIB });
    let reads = 0;
    here.destination.onRequest = ({ method }) => {
      if (method === 'read') {
        reads += 1;
        if (reads === 6) {
          throw new BackupdError('destination-unavailable', 'reset');
        }
      }
    };
    const copy = await here.copyOf(manifest);
    await expect(fetchBackup(copy, here.app.context, NEVER)).rejects.toThrow('reset');
    expect(await here.app.context.catalog.sources()).toEqual([]);
    const before = reads;
    await fetchBackup(copy, here.app.context, NEVER);
    // Seven ranges; the last one is begun beside the one that fails, and may or may not be done.
    expect(reads - before).toBeLessThanOrEqual(2);
    expect(await here.app.context.catalog.manifest('db', manifest.id)).toEqual(manifest);
  });

  test('a body that breaks off is gone on with from there', async () => {
    let broken = 0;
    await using here = await copyStage({
      through: (inner) => ({
        ...inner,
        async read(object, range, signal) {
          const whole = await inner.read(object, range, signal);
          if (range.bytes < 2 * MIB || broken > 20) {
            return whole;
          }
          broken += 1;
          return Readable.from(
            (async function* () {
              let left = MIB;
              for await (const bytes of whole) {
                const piece = (bytes as Buffer).subarray(0, left);
                left -= piece.length;
                yield piece;
                if (left === 0) {
                  break;
                }
              }
              throw new BackupdError('destination-unavailable', 'cut off');
            })(),
          );
        },
      }),
    });
    const manifest = await here.add(1, { bytes: 10 * MIB });
    await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
    expect(broken).toBe(9);
    expect(await here.app.context.catalog.manifest('db', manifest.id)).toEqual(manifest);
  });

  test('what a power cut took is fetched again', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { bytes: 40 * MIB });
    here.destination.onRequest = ({ method, key }) => {
      if (method === 'get' && key.includes('manifest')) {
        return;
      }
      if (
        method === 'get' ||
        here.destination.requests.filter((one) => one.method === 'read').length > 2
      ) {
        throw new BackupdError('destination-unavailable', 'reset');
      }
    };
    const copy = await here.copyOf(manifest);
    await expect(fetchBackup(copy, here.app.context, NEVER)).rejects.toThrow('reset');
    here.destination.onRequest = () => undefined;
    const partial = join(here.dir, '.backupd/downloads/db', manifest.id, 'files/shop.dump');
    await writeFile(partial, Buffer.alloc(20 * MIB));
    await fetchBackup(copy, here.app.context, NEVER);
    expect(await here.app.context.catalog.manifest('db', manifest.id)).toEqual(manifest);
  });

  test('an altered object is no backup, and nothing of it stays', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1);
    here.destination.alter(keyOf(manifest), 'altered');
    await expect(
      fetchBackup(await here.copyOf(manifest), here.app.context, NEVER),
    ).rejects.toMatchObject({ code: 'archive-corrupt', message: containing('shop.dump at s3') });
    expect(await here.app.context.catalog.sources()).toEqual([]);
  });

  test('of several versions the one whose hash fits is taken', async () => {
    await using here = await copyStage({ keepsVersions: true });
    const content = await goldenArchive('small-17');
    const manifest = await here.add(1, { bytes: content.length });
    here.destination.alter(keyOf(manifest), content);
    here.destination.lose(keyOf(manifest));
    here.destination.lose(keyOf(manifest, 'manifest.json'));
    await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
    expect(await here.app.context.catalog.manifest('db', manifest.id)).toEqual(manifest);
  });

  test('too little space is told before anything is fetched', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1);
    const storage = {
      ...here.app.context.storage,
      space: () => Promise.resolve({ freeBytes: 1e6, sizeBytes: 2e9 }),
    };
    await expect(
      fetchBackup(await here.copyOf(manifest), { ...here.app.context, storage }, NEVER),
    ).rejects.toMatchObject({ code: 'no-space' });
    expect(here.destination.requests.filter(({ method }) => method === 'read')).toEqual([]);
  });

  test('mends only what is damaged here', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    const { catalog } = here.app.context;
    await catalog.addReceipt(
      { manifest },
      // As a verification with the key writes it.
      { type: 'damaged', at: '2026-01-01T00:00:00.000Z', depth: 'content', message: 'torn' },
    );
    await writeFile(here.path(manifest), 'damaged');
    await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
    const entry = await catalog.find(manifest.id);
    expect(isDamaged(entry)).toBe(false);
    expect(verifiedAt(entry)).not.toBeNull();
    const reads = here.destination.requests.filter(({ method }) => method === 'read').length;
    expect(reads).toBe(1);
    await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
    expect(here.destination.requests.filter(({ method }) => method === 'read')).toHaveLength(reads);
  });

  test('mends a backup whose manifest is damaged', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    await writeFile(join(here.dir, 'db', manifest.id, 'manifest.json'), '{');
    await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
    expect(await here.app.context.catalog.manifest('db', manifest.id)).toEqual(manifest);
  });

  test('a download that nobody goes on with is swept after two days', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1);
    here.destination.onRequest = ({ method }) => {
      if (method === 'read') {
        throw new BackupdError('destination-unavailable', 'reset');
      }
    };
    const { catalog } = here.app.context;
    await expect(
      fetchBackup(await here.copyOf(manifest), here.app.context, NEVER),
    ).rejects.toThrow();
    expect(await catalog.sweep('db')).toEqual([]);
    const old = new Date(Date.now() - 3 * 86_400_000);
    const record = join(here.dir, '.backupd/downloads/db', manifest.id, 'records/shop.dump');
    await utimes(record, old, old);
    expect(await catalog.sweep('db')).toEqual([manifest.id]);
  });
});

test('what was fetched is what was there', async () => {
  await using here = await copyStage();
  const manifest = await here.add(1, { bytes: 33 * MIB + 5, isHere: true });
  const before = await readFile(here.path(manifest));
  await rm(here.path(manifest));
  await fetchBackup(await here.copyOf(manifest), here.app.context, NEVER);
  expect(before.equals(await readFile(here.path(manifest)))).toBe(true);
});
