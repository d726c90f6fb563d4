import { CreateBucketCommand, DeleteBucketCommand, DeleteObjectCommand } from '@aws-sdk/client-s3';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DestinationStatus } from '../../../src/core/status.ts';
import { openStore, type OffSiteStage, type Store } from '../../support/off-site-stage.ts';
import { docker } from '../../support/run-process.ts';
import { STORE_KEYS } from '../../support/s3-server.ts';
import { backupId } from '../../support/storage.ts';
import {
  startContainer,
  type ContainerOptions,
  type TestContainer,
} from '../../support/test-container.ts';
import { waitFor } from '../../support/wait-for.ts';

const MIB = 1024 * 1024;

let store: Store;

beforeAll(async () => {
  store = await openStore();
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
});

/** The daemon on the backups of a stage; uploads are due in half a year at the earliest, unless it is told otherwise. */
async function startDaemon(
  { box }: OffSiteStage,
  more: ContainerOptions['env'] = {},
): Promise<TestContainer> {
  const month = ((new Date().getUTCMonth() + 6) % 12) + 1;
  return startContainer({
    ...box.options,
    env: {
      ...box.options.env,
      BACKUPD_HTTP_PORT: 'off',
      BACKUPD_UPLOAD_SCHEDULE: `0 0 1 ${month} *`,
      ...more,
    },
  });
}

async function statusOf({ box }: OffSiteStage): Promise<DestinationStatus> {
  const { stdout } = await box.backupd(['status', '--json']);
  const { destinations } = JSON.parse(stdout) as { destinations: readonly DestinationStatus[] };
  return destinations[0] as DestinationStatus;
}

test('the first copies are sent at once; what fails is tried again without waiting for the schedule', async () => {
  await using stage = await store.stage();
  await stage.add(1);
  store.proxy.disturb(
    { operation: 'PutObject' },
    { status: 403, code: 'AccessDenied' },
    Number.POSITIVE_INFINITY,
  );
  await using daemon = await startDaemon(stage);
  await waitFor('failure', async () => (await statusOf(stage)).state === 'failed');
  expect(await statusOf(stage)).toMatchObject({
    healthy: false,
    failure: { code: 'destination-denied' },
    pendingBackups: 1,
  });
  expect(await daemon.logs()).toContain('upload failed');
  store.proxy.calm();
  await waitFor('success', async () => (await statusOf(stage)).state === 'ok', 150_000);
  expect(await stage.keys()).toContain(`demo/db/${backupId(1)}/manifest.json`);
  expect(await daemon.logs()).toContain('backup uploaded');
}, 240_000);

test('a daemon that stops in the midst is gone on with by the next one', async () => {
  await using stage = await store.stage();
  await stage.add(1, 40 * MIB);
  store.proxy.disturb({ operation: 'UploadPart', part: 3 }, 'stall', 1);
  store.proxy.forget();
  {
    await using daemon = await startDaemon(stage);
    // The first two parts are there, and the third hangs.
    await waitFor(
      'third part',
      () => store.proxy.seen.filter(({ operation }) => operation === 'UploadPart').length >= 3,
    );
    await waitFor('first parts', () => store.proxy.bytesOf('UploadPart') >= 32 * MIB);
    await docker('stop', '--time', '10', daemon.name);
    const exitCode = await docker('inspect', '--format', '{{.State.ExitCode}}', daemon.name);
    expect(exitCode).toBe('0');
  }
  expect(await statusOf(stage)).toMatchObject({
    failure: null,
    lastAttempt: { outcome: 'interrupted' },
  });
  store.proxy.calm();
  store.proxy.forget();
  await using _next = await startDaemon(stage);
  await waitFor('success', async () => (await statusOf(stage)).state === 'ok', 60_000);
  expect(store.proxy.bytesOf('UploadPart')).toBeLessThanOrEqual(24 * MIB);
}, 240_000);

test('a bucket that is gone and keys that are changed: it goes on by itself once they are right', async () => {
  // What is in /backups is seen by commands, too.
  await using stage = await store.stage({ keyFile: '/backups/.key' });
  async function setKey(secret: string): Promise<void> {
    await writeFile(join(stage.box.dir, '.key'), `${secret}\n`);
  }
  async function until(state: DestinationStatus['state'], code: string | null): Promise<void> {
    await waitFor(
      `${state} (${code})`,
      async () => {
        const status = await statusOf(stage);
        return status.state === state && (status.failure?.code ?? null) === code;
      },
      60_000,
    );
  }
  await setKey(STORE_KEYS.secretAccessKey);
  await stage.add(1);
  const manifest = `demo/db/${backupId(1)}/manifest.json`;
  // Every second, so that nobody waits for another attempt.
  await using daemon = await startDaemon(stage, { BACKUPD_UPLOAD_SCHEDULE: '* * * * * *' });
  await until('ok', null);

  await setKey('changed-at-the-store');
  await until('failed', 'destination-denied');
  expect((await statusOf(stage)).failure?.message).toContain('the keys were not accepted');

  // Meanwhile nothing is put there.
  for (const Key of await stage.keys()) {
    await stage.client.send(new DeleteObjectCommand({ Bucket: stage.bucket, Key }));
  }
  await stage.client.send(new DeleteBucketCommand({ Bucket: stage.bucket }));
  await setKey(STORE_KEYS.secretAccessKey);
  await until('failed', 'destination-unavailable');
  expect((await statusOf(stage)).failure?.message).toContain(
    `there is no bucket "${stage.bucket}"`,
  );
  await stage.client.send(new CreateBucketCommand({ Bucket: stage.bucket }));
  await until('ok', null);
  expect(await stage.keys()).toContain(manifest);
  const { receipts } = await stage.catalog.find(backupId(1));
  expect(receipts.map(({ type }) => type)).toEqual(['uploaded', 'lost', 'uploaded']);
  expect(await daemon.logs()).not.toContain('changed-at-the-store');
}, 240_000);
