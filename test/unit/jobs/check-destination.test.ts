import { expect, test } from 'vitest';
import { BackupdError } from '../../../src/core/errors.ts';
import { checkDestination } from '../../../src/jobs/check-destination.ts';
import type { Check } from '../../../src/jobs/check-result.ts';
import { upload } from '../../../src/jobs/upload.ts';
import { memoryDestination, type MemoryOptions } from '../../support/memory-destination.ts';
import { copiesStage, type CopiesStage } from '../../support/upload-stage.ts';

const never = new AbortController().signal;

async function look({ app }: CopiesStage): Promise<Readonly<Record<string, Check>>> {
  const [configured] = app.context.destinations;
  if (configured === undefined) {
    throw new Error('there is no destination');
  }
  const checks = await checkDestination(configured, app.context, never);
  return Object.fromEntries(checks.map((check) => [check.name, check]));
}

async function lookAt(options: MemoryOptions): Promise<Readonly<Record<string, Check>>> {
  await using stage = await copiesStage({ place: memoryDestination(options) });
  return await look(stage);
}

test.each([false, true])(
  'all is well, and nothing is left (versions: %s)',
  async (keepsVersions) => {
    const place = memoryDestination({ keepsVersions });
    await using stage = await copiesStage({ place });
    const found = await look(stage);
    expect(Object.values(found).map(({ ok }) => ok)).toEqual([true, true, true, true]);
    expect(found['destination']?.message).toContain('in eu-central-1, off-site');
    expect(found['owner']?.message).toContain('has no owner yet');
    expect(found['access']?.message).toBe('can be listed, written, read and removed');
    expect(await Array.fromAsync(place.listVersions('', never))).toEqual([]);
  },
);

test('one that cannot be reached is one failure', async () => {
  await using stage = await copiesStage();
  stage.place.onRequest = () => {
    throw new BackupdError('destination-unavailable', 'nobody answers', { hint: 'Look.' });
  };
  expect(Object.values(await look(stage))).toEqual([
    { name: 'destination', subject: 's3', ok: false, message: 'nobody answers', hint: 'Look.' },
  ]);
});

test.each(['get', 'remove', 'put'] as const)(
  'a right to %s that is missing is told',
  async (method) => {
    await using stage = await copiesStage();
    stage.place.onRequest = (request) => {
      if (request.method === method && request.key.includes('check-')) {
        throw new BackupdError('destination-denied', `s3:${method} was denied`);
      }
    };
    const { access } = await look(stage);
    expect(access).toMatchObject({ ok: false, message: `s3:${method} was denied` });
    // What could be written and not be read is gone all the same.
    expect(stage.place.keys()).toHaveLength(method === 'remove' ? 1 : 0);
  },
);

test('a right to list that is missing is told, and nothing is written', async () => {
  await using stage = await copiesStage();
  stage.place.onRequest = ({ method }) => {
    if (method === 'list') {
      throw new BackupdError('destination-denied', 's3:ListBucket was denied');
    }
  };
  expect((await look(stage))['access']).toMatchObject({
    ok: false,
    message: 's3:ListBucket was denied',
  });
  expect(stage.place.requests.map(({ method }) => method)).not.toContain('put');
});

test('a clock that is far off, and somebody else who owns the namespace, are told', async () => {
  const { clock } = await lookAt({ facts: { clockAheadMs: -1_200_000 } });
  const [, here = '', there = ''] =
    /^the clocks are 20m apart: here it is (\S+), there (\S+)$/.exec(clock?.message ?? '') ?? [];
  expect(clock?.ok).toBe(false);
  expect(Date.parse(here) - Date.parse(there)).toBe(1_200_000);

  const place = memoryDestination();
  await using one = await copiesStage({ place });
  await using two = await copiesStage({ place });
  await upload({ destination: null, takeOver: false, waitMs: 0 }, one.app, never);
  expect((await look(one))['owner']).toMatchObject({ ok: true });
  const storage = { ...two.app.context.storage, identity: 'fedcba9876543210' };
  const app = { ...two.app, context: { ...two.app.context, storage } };
  expect((await look({ ...two, app }))['owner']).toMatchObject({
    ok: false,
    hint: expect.stringContaining('--take-over') as string,
  });
});

test('nothing is written where it would be locked', async () => {
  const place = memoryDestination({ keepsVersions: true, lockedUntil: '2036-01-01T00:00:00.000Z' });
  await using stage = await copiesStage({ place });
  expect((await look(stage))['access']?.message).toContain('not tried');
  expect(place.keys()).toEqual([]);
});
