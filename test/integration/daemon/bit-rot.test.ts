import { chmod, open } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { Manifest } from '../../../src/core/manifest.ts';
import { openCatalog, type Catalog } from '../../../src/store/catalog.ts';
import { encode, goldenArchive, store } from '../../support/archives.ts';
import { startDaemon } from '../../support/backupd.ts';
import { openStore } from '../../support/off-site-stage.ts';
import { backupId, sampleManifest, temporaryFolder } from '../../support/storage.ts';
import { startContainer } from '../../support/test-container.ts';
import { waitFor } from '../../support/wait-for.ts';

/** A backup of long ago, which is to be read back at once. */
async function addBackup(catalog: Catalog): Promise<Manifest> {
  const id = backupId(1);
  const archive = await goldenArchive('small-17');
  await using draft = await catalog.draft('db', id);
  const path = draft.path('small.dump.zst');
  const stored = await store(path, encode(archive, 'zstd'), {
    plain: archive,
    compression: 'zstd',
  });
  const files = [{ ...stored, name: 'small.dump.zst', format: 'pg-custom' }];
  const manifest = sampleManifest({ id, files });
  await draft.commit(manifest);
  return manifest;
}

/** Turns one bit in the midst of its archive over; a second time that makes it whole. */
async function flipBit(catalog: Catalog, manifest: Manifest): Promise<void> {
  await using file = await open(catalog.path(manifest, 'small.dump.zst'), 'r+');
  const at = Math.floor((manifest.files[0]?.storedBytes ?? 0) / 2);
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await file.write(byte, 0, 1, at);
}

test('the daemon finds a flipped bit by itself, and mends it from the bucket', async () => {
  await using minio = await openStore();
  await using stage = await minio.stage();
  const { box, catalog } = stage;
  const manifest = await addBackup(catalog);
  const sent = await box.backupd(['upload']);
  expect(sent.exitCode, sent.stdout + sent.stderr).toBe(0);
  await flipBit(catalog, manifest);
  await using daemon = await startContainer({
    ...box.options,
    env: { ...box.options.env, BACKUPD_HTTP_PORT: 'off', BACKUPD_UPLOAD_SCHEDULE: 'off' },
  });
  await waitFor('mended backup', async () => (await daemon.logs()).includes('backup verified'));
  const log = await daemon.logs();
  for (const message of ['backup is not whole', 'its copy is taken', 'backup fetched']) {
    expect(log).toContain(message);
  }
  const [shown] = await box.json<readonly { damaged: boolean; verifiedAt: string | null }[]>([
    'list',
  ]);
  expect(shown?.damaged).toBe(false);
  expect(shown?.verifiedAt).not.toBeNull();
  const { receipts } = await box.json<{ receipts: readonly { type: string }[] }>([
    'show',
    manifest.id,
  ]);
  expect(receipts.map(({ type }) => type)).toEqual([
    'uploaded',
    'damaged',
    'damaged',
    'verified',
    'verified',
  ]);
}, 240_000);

test('without a copy it stays shown until a verification passes, and the daemon goes on', async () => {
  await using folder = await temporaryFolder();
  const catalog = openCatalog({ dir: folder.dir, namespace: 'demo' });
  const manifest = await addBackup(catalog);
  await flipBit(catalog, manifest);
  // For whoever the daemon runs as.
  await chmod(folder.dir, 0o777);
  await using daemon = await startDaemon({
    backups: folder.dir,
    user: `${process.getuid?.()}:${process.getgid?.()}`,
    socket: false,
    env: {
      BACKUPD_NAMESPACE: 'demo',
      BACKUPD_SOURCES: 'db=postgres://nowhere/shop',
      BACKUPD_SCHEDULE: 'off',
    },
  });

  async function metric(name: string): Promise<number> {
    const text = await (await daemon.get('/metrics')).text();
    return Number(new RegExp(`^${name}\\{source="db"\\} (.*)$`, 'm').exec(text)?.[1]);
  }

  await waitFor('damage', async () => (await metric('backupd_verify_failed_backups')) === 1);
  expect(await metric('backupd_verify_last_success_timestamp_seconds')).toBe(0);
  await waitFor('word', async () => (await daemon.logs()).includes('damaged backup not mended'));
  const status = await daemon.cli(['status']);
  expect(status.exitCode).toBe(4);
  expect(status.stdout).toContain(`${manifest.id}: was found damaged at`);
  expect((await daemon.cli(['list'])).stdout).toContain('damaged');
  expect((await daemon.get('/healthz')).status).toBe(200);

  await flipBit(catalog, manifest);
  expect((await daemon.cli(['verify', manifest.id])).exitCode).toBe(0);
  expect(await metric('backupd_verify_failed_backups')).toBe(0);
  expect(await metric('backupd_verify_last_success_timestamp_seconds')).toBeGreaterThan(0);
  expect((await daemon.cli(['status'])).stdout).not.toContain('was found damaged');
}, 120_000);
