import { rm, writeFile } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Manifest } from '../../../src/core/manifest.ts';
import { copyBackupFile } from '../../../src/jobs/cat.ts';
import { listRemote } from '../../../src/jobs/list-remote.ts';
import { showBackup } from '../../../src/jobs/show.ts';
import { verifyBackups } from '../../../src/jobs/verify.ts';
import { verifyCopies } from '../../../src/jobs/verify-remote.ts';
import { asConfigured, putCopy } from '../../support/copies.ts';
import { goldenCatalog, type GoldenCatalog } from '../../support/golden-catalog.ts';
import { containing, having } from '../../support/matchers.ts';
import { memoryDestination, type MemoryDestination } from '../../support/memory-destination.ts';
import { backupId } from '../../support/storage.ts';

const NEVER = new AbortController().signal;
const AT = '2026-01-01T09:00:00.000Z';
const ALL = { source: null, id: null, from: 's3' };

interface Stage {
  readonly destination: MemoryDestination;
  readonly app: GoldenCatalog['app'];
  key(manifest: Manifest): string;
}

function withCopies(here: GoldenCatalog): Stage {
  const destination = memoryDestination();
  return {
    destination,
    app: {
      ...here.app,
      context: { ...here.app.context, destinations: [asConfigured(destination)] },
    },
    key: ({ id }) => `demo/db/${id}/small.dump.zst`,
  };
}

test('copies are read to their end, newest first, and nothing of them is kept', async () => {
  await using here = await goldenCatalog();
  const { destination, app } = withCopies(here);
  const [older, newer] = [await here.add(1), await here.add(2)];
  for (const manifest of [older, newer]) {
    await putCopy(destination, here.dir, manifest);
    await rm(here.path(manifest, ''), { recursive: true });
  }
  const checkedBytes = newer.files[0]?.storedBytes;
  expect(await verifyCopies(ALL, app, NEVER)).toEqual(
    [newer, older].map(({ id }) =>
      having({ id, ok: true, depth: 'content', checkedBytes, failure: null }),
    ),
  );
  expect(await verifyCopies({ ...ALL, id: older.id.slice(0, 11) }, app, NEVER)).toEqual([
    having({ id: older.id }),
  ]);
  await expect(verifyCopies({ ...ALL, source: 'app' }, app, NEVER)).rejects.toMatchObject({
    code: 'source-not-found',
    hint: 'There are: db.',
  });
  await expect(verifyCopies({ ...ALL, id: backupId(9) }, app, NEVER)).rejects.toMatchObject({
    code: 'backup-not-found',
  });
});

test('a copy that is altered or not whole is told, and lost where the backup is here too', async () => {
  await using here = await goldenCatalog();
  const { destination, app, ...copies } = withCopies(here);
  const [whole, altered, missing, unfinished] = [
    await here.add(1),
    await here.add(2),
    await here.add(3),
    await here.add(4),
  ];
  for (const manifest of [whole, altered, missing, unfinished]) {
    await putCopy(destination, here.dir, manifest);
  }
  destination.alter(copies.key(altered), Buffer.alloc(altered.files[0]?.storedBytes ?? 0));
  destination.lose(copies.key(missing));
  destination.lose(`demo/db/${unfinished.id}/manifest.json`);
  const found = await verifyCopies(ALL, app, NEVER);
  expect(found.map(({ id, ok, failure }) => [id, ok, failure?.code])).toEqual([
    [missing.id, false, 'archive-corrupt'],
    [altered.id, false, 'archive-corrupt'],
    [whole.id, true, undefined],
  ]);
  expect(found[1]?.failure?.message).toContain(`s3:${altered.id}/small.dump.zst`);
  expect(await here.receipts(altered)).toEqual([having({ type: 'lost', destination: 's3' })]);
  expect(await here.receipts(whole)).toEqual([having({ type: 'sampled', destination: 's3' })]);
});

test('show and cat go to a copy where the backup is not here, and list tells of what is there', async () => {
  await using here = await goldenCatalog();
  const { destination, app, ...copies } = withCopies(here);
  const manifest = await here.add(1);
  await putCopy(destination, here.dir, manifest);
  async function catBytes(): Promise<number> {
    let bytes = 0;
    const to = new Writable({
      write(piece: Buffer, _encoding, done) {
        bytes += piece.length;
        done();
      },
    });
    await copyBackupFile({ id: manifest.id, file: 'small.dump.zst', to }, app, NEVER);
    return bytes;
  }
  expect(await catBytes()).toBe(manifest.files[0]?.dumpBytes);
  expect(destination.requests.filter(({ method }) => method !== 'put')).toEqual([]);
  await rm(here.path(manifest));
  expect(await catBytes()).toBe(manifest.files[0]?.dumpBytes);
  await rm(here.path(manifest, ''), { recursive: true });
  expect(await catBytes()).toBe(manifest.files[0]?.dumpBytes);
  expect(await showBackup(manifest.id, app, NEVER)).toEqual({ manifest, receipts: [] });
  const listed = await listRemote({ source: 'db', from: 's3' }, app, NEVER);
  expect(listed).toEqual({ copies: [having({ isHidden: false })], unusable: [], warnings: [] });
  await expect(listRemote({ source: 'app', from: 's3' }, app, NEVER)).rejects.toMatchObject({
    code: 'source-not-found',
    hint: 'There are: db.',
  });
  destination.alter(copies.key(manifest), Buffer.alloc(manifest.files[0]?.storedBytes ?? 0));
  await expect(catBytes()).rejects.toMatchObject({ code: 'archive-corrupt' });
  await expect(showBackup(backupId(7), app, NEVER)).rejects.toMatchObject({
    code: 'backup-not-found',
  });
});

test('who verifies what is not here is told how a copy is verified', async () => {
  await using here = await goldenCatalog();
  const { app } = withCopies(here);
  await expect(verifyBackups({ source: null, id: backupId(7) }, app, NEVER)).rejects.toMatchObject({
    code: 'backup-not-found',
    hint: containing(`"backupd verify ${backupId(7)} --from s3"`),
  });
});

test('a copy whose manifest is not the one that was sent is not whole', async () => {
  await using here = await goldenCatalog();
  const { destination, app } = withCopies(here);
  const manifest = await here.add(1);
  await putCopy(destination, here.dir, manifest);
  const key = `demo/db/${manifest.id}/manifest.json`;

  async function putThere(text: string): Promise<void> {
    await destination.put(key, Buffer.from(text), { ifAbsent: false }, NEVER);
  }

  const sent = await destination.head(key, null, NEVER);
  const files = [{ name: 'manifest.json', bytes: 0, etag: sent?.etag ?? '', versionId: null }];
  const uploaded = { type: 'uploaded', at: AT, destination: 's3', files } as const;
  await app.context.catalog.addReceipt({ manifest }, uploaded);
  expect(await verifyCopies(ALL, app, NEVER)).toMatchObject([{ ok: true }]);
  // Put there anew by whatever copied it: other marks, the same content.
  await putThere(`${JSON.stringify(manifest, null, 1)}\n`);
  expect(await verifyCopies(ALL, app, NEVER)).toMatchObject([{ ok: true }]);

  await putThere(JSON.stringify({ ...manifest, finishedAt: AT }));
  expect(await verifyCopies(ALL, app, NEVER)).toMatchObject([
    {
      id: manifest.id,
      ok: false,
      failure: {
        code: 'archive-corrupt',
        message: `${manifest.id} at s3: its manifest.json was altered or replaced there`,
      },
    },
  ]);
  const [entry] = await app.context.catalog.entries('db');
  expect(entry?.receipts.at(-1)).toMatchObject({ type: 'lost', destination: 's3' });
});

test('a copy is not taken for altered where the manifest here is what was altered', async () => {
  await using here = await goldenCatalog();
  const { destination, app } = withCopies(here);
  const manifest = await here.add(1);
  await putCopy(destination, here.dir, manifest);
  const sent = await destination.head(`demo/db/${manifest.id}/manifest.json`, null, NEVER);
  const files = [{ name: 'manifest.json', bytes: 0, etag: sent?.etag ?? '', versionId: null }];
  const uploaded = { type: 'uploaded', at: AT, destination: 's3', files } as const;
  await app.context.catalog.addReceipt({ manifest }, uploaded);
  const altered = JSON.stringify({ ...manifest, finishedAt: AT });
  await writeFile(here.path(manifest, 'manifest.json'), altered);
  expect(await verifyCopies(ALL, app, NEVER)).toMatchObject([{ ok: true }]);
});
