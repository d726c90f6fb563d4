import { describe, expect, test } from 'vitest';
import { BackupdError } from '../../../src/core/errors.ts';
import { configured } from '../../support/upload-stage.ts';
import { memoryDestination } from '../../support/memory-destination.ts';
import { bucketSettings } from '../../support/s3-server.ts';
import { backupId } from '../../support/storage.ts';
import { policy } from '../core/retention-samples.ts';
import { fakeApp, run } from './support.ts';

describe('upload', () => {
  test('says what was sent, and to whom', async () => {
    const place = memoryDestination();
    await using world = await fakeApp({ destinations: [configured(place)] });
    const { id } = await world.add();
    const { exitCode, out } = await run(world, 'upload s3');
    expect(exitCode).toBe(0);
    expect(out).toContain(`uploaded db ${id} to s3`);
    const again = await run(world, 'upload');
    expect([again.exitCode, again.out, again.err]).toEqual([0, '', 'nothing to send\n']);
  });

  test('a destination that fails has an entry of its own, and the exit code', async () => {
    const place = memoryDestination();
    const fine = memoryDestination({ name: 'nas' });
    await using world = await fakeApp({ destinations: [configured(place), configured(fine)] });
    const { id } = await world.add();
    place.onRequest = () => {
      throw new BackupdError('destination-denied', 's3:PutObject was denied', {
        hint: 'Allow it.',
      });
    };
    const { exitCode, json } = await run(world, 'upload --json');
    expect(exitCode).toBe(31);
    expect(json()).toEqual([
      expect.objectContaining({ id, destination: 'nas', ok: true, error: null }),
      {
        id: null,
        source: null,
        destination: 's3',
        ok: false,
        bytes: 0,
        durationMs: 0,
        error: {
          code: 'destination-denied',
          message: 's3:PutObject was denied',
          hint: 'Allow it.',
        },
      },
    ]);
    const said = await run(world, 'upload');
    expect(said.err).toContain('error: s3: s3:PutObject was denied\nhint: Allow it.');
  });

  test('what retention removes there is told', async () => {
    const place = memoryDestination();
    const keep = policy({ last: 1 });
    await using world = await fakeApp({ destinations: [configured(place, { keep })] });
    await world.add({ id: backupId(1) });
    await run(world, 'upload');
    await world.add({ id: backupId(2) });
    const { exitCode, err } = await run(world, 'upload');
    expect([exitCode, err]).toEqual([0, 'removed 1 backup of db at s3 that no rule keeps there\n']);
  });

  test('retention that fails there is a warning: the copies are there', async () => {
    const place = memoryDestination();
    await using world = await fakeApp({ destinations: [configured(place)] });
    await world.add();
    place.onRequest = ({ method }) => {
      if (method === 'list' && place.keys().some((key) => key.endsWith('manifest.json'))) {
        throw new BackupdError('destination-denied', 's3:ListBucket was denied');
      }
    };
    const { exitCode, err } = await run(world, 'upload');
    expect(exitCode).toBe(0);
    expect(err).toContain('warning: old backups at s3 stay for now: s3:ListBucket was denied');
  });

  test('a store that cannot do what is configured of it is an error, and the copies are there', async () => {
    const place = memoryDestination();
    const lifecycle = { moves: [{ storageClass: 'GLACIER', days: 30 }], expireDays: null };
    const settings = bucketSettings({ bucket: 'shop', endpoint: null, lifecycle });
    await using world = await fakeApp({
      destinations: [configured(place, { place: settings.place })],
    });
    const { id } = await world.add();
    place.onRequest = ({ method }) => {
      if (method === 'applyRules') {
        throw new BackupdError('config-invalid', 'InvalidStorageClass', { hint: 'Remove it.' });
      }
    };
    const { exitCode, out, err } = await run(world, 'upload');
    expect(exitCode).toBe(3);
    expect(out).toContain(`uploaded db ${id} to s3`);
    expect(err).toBe('error: s3: InvalidStorageClass\nhint: Remove it.\n');
    expect((await run(world, 'upload --json')).json()).toEqual([
      expect.objectContaining({
        id: null,
        destination: 's3',
        ok: false,
        error: expect.objectContaining({ code: 'config-invalid' }) as unknown,
      }),
    ]);
  });

  test('without a destination it is a matter of the configuration', async () => {
    await using world = await fakeApp();
    const { exitCode, err } = await run(world, 'upload');
    expect(exitCode).toBe(3);
    expect(err).toContain('hint: Set BACKUPD_S3_BUCKET');
  });
});

test('status, list, show and prune tell of copies', async () => {
  const place = memoryDestination();
  await using world = await fakeApp({ destinations: [configured(place)] });
  const { id } = await world.add();
  await run(world, 'upload');
  expect((await run(world, 'status')).out).toMatch(/^s3 +ok +\S+ .* memory of s3$/m);
  expect((await run(world, 'list')).out).toMatch(new RegExp(`${id}.* s3 `));
  const shown = await run(world, `show ${id}`);
  expect(shown.out).toContain('uploaded to s3 ');
  place.lose(`shop/db/${id}/manifest.json`);
  const sent = await run(world, 'upload');
  expect(sent.err).toContain(`the copy of ${id} at s3 is lost: its manifest.json is missing there`);
  expect((await run(world, `show ${id}`)).out).toContain('lost at s3 ');
  expect((await run(world, 'prune --dry-run')).out).toMatch(new RegExp(`${id} +db +s3 +keep`));
});
