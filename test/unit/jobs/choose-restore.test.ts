import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { BackupdError } from '../../../src/core/errors.ts';
import { copyStage, keyOf } from '../../support/copy-stage.ts';
import { containing, having } from '../../support/matchers.ts';

describe('chooseRestore', () => {
  test('takes what is whole here, and asks nobody', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    expect(await here.choose()).toEqual(
      having({ manifest, copy: null, damage: null, warnings: [] }),
    );
    expect(here.destination.requests.filter(({ method }) => method === 'list')).toEqual([]);
  });

  test('takes the copy of one that is damaged here, and says so', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    await rm(here.path(manifest));
    expect(await here.choose()).toMatchObject({
      manifest,
      copy: { destination: { name: 's3' } },
      damage: null,
      warnings: [
        {
          code: 'copy-taken',
          message: `backup ${manifest.id} is damaged here (its shop.dump is missing): the copy of ${manifest.id} at s3 is taken`,
        },
      ],
    });
  });

  test('takes the copy of a newer one that was found damaged rather than an older one', async () => {
    await using here = await copyStage();
    await here.add(1, { isHere: true });
    const newer = await here.add(2, { isHere: true });
    const at = '2026-01-01T00:00:00.000Z';
    await here.app.context.catalog.addReceipt(
      { manifest: newer },
      { type: 'damaged', at, message: 'torn' },
    );
    expect((await here.choose()).manifest.id).toBe(newer.id);
    here.destination.lose(keyOf(newer));
    expect(await here.choose()).toMatchObject({
      copy: null,
      warnings: [{ code: 'newer-not-used' }],
    });
  });

  test.each([
    ['an id', (id: string) => id],
    ['latest', () => 'latest'],
    ['an instant', () => '2026-01-01T02:00Z'],
  ])('takes the copy of one that is not here any more, by %s', async (_how, at) => {
    await using here = await copyStage();
    const manifest = await here.add(1);
    expect(await here.choose({ at: at(manifest.id) })).toMatchObject({
      manifest,
      copy: { destination: { name: 's3' } },
      warnings: [{ code: 'copy-taken' }],
    });
  });

  test('where a destination does not answer either, both are told', async () => {
    await using here = await copyStage();
    await here.add(1);
    here.destination.onRequest = () => {
      throw new BackupdError('destination-unavailable', 'no route to host');
    };
    await expect(here.choose()).rejects.toMatchObject({
      code: 'source-not-found',
      hint: containing('s3 could not be asked: no route to host'),
    });
  });

  test('--from chooses among what is there, and by its id also what is here alone', async () => {
    await using here = await copyStage();
    const there = await here.add(1);
    const both = await here.add(2, { isHere: true });
    expect(await here.choose({ from: 's3' })).toMatchObject({ manifest: both, copy: {} });
    expect(await here.choose({ from: 's3', at: there.id })).toMatchObject({ manifest: there });
    // As the backup of the empty database that a new host has made meanwhile.
    const own = await here.add(3, { isHere: true });
    for (const name of ['shop.dump', 'manifest.json']) {
      here.destination.lose(keyOf(own, name));
    }
    expect(await here.choose({ from: 's3' })).toMatchObject({
      manifest: both,
      copy: {},
      warnings: [{ code: 'newer-not-used', message: containing('it is not at s3') }],
    });
    expect(await here.choose({ from: 's3', at: own.id })).toMatchObject({
      manifest: own,
      copy: null,
      warnings: [{ code: 'not-there' }],
    });
  });

  test('--from needs no source where there is only one, and names several', async () => {
    await using here = await copyStage();
    const only = await here.add(1);
    expect(await here.choose({ from: 's3', source: null })).toMatchObject({ manifest: only });
    await here.add(2, { source: 'app' });
    await expect(here.choose({ from: 's3', source: null })).rejects.toMatchObject({
      code: 'usage',
      message: 'which source? there are backups of app, db',
    });
  });

  test('--from says what was not looked at', async () => {
    await using here = await copyStage({ keepsVersions: true, facts: { keepsVersions: null } });
    await expect(here.choose({ from: 's3' })).rejects.toMatchObject({
      hint: containing('s3:GetBucketVersioning is denied'),
    });
    await here.add(1);
    expect(await here.choose({ from: 's3' })).toMatchObject({
      warnings: [{ code: 'earlier-unseen' }],
    });
  });

  test('--from says why there is nothing', async () => {
    await using here = await copyStage();
    await expect(here.choose({ from: 's3' })).rejects.toMatchObject({
      code: 'backup-not-found',
      hint: containing('none of any other either'),
    });
    const manifest = await here.add(1);
    await expect(here.choose({ from: 's3', source: 'orders' })).rejects.toMatchObject({
      code: 'source-not-found',
    });
    await expect(here.choose({ from: 'nas' })).rejects.toMatchObject({ code: 'usage' });
    here.destination.lose(keyOf(manifest));
    await expect(here.choose({ from: 's3' })).rejects.toMatchObject({
      code: 'backup-not-found',
      message: containing('its shop.dump is missing there'),
    });
    await here.add(2);
    await expect(here.choose({ from: 's3', at: manifest.id })).rejects.toMatchObject({
      code: 'archive-corrupt',
    });
    expect(await here.choose({ from: 's3' })).toMatchObject({ warnings: [] });
  });
});
