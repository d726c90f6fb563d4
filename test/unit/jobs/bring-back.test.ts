import { describe, expect, test } from 'vitest';
import { bringBack } from '../../../src/jobs/bring-back.ts';
import { copyStage, keyOf } from '../../support/copy-stage.ts';
import { containing, having } from '../../support/matchers.ts';

const NEVER = new AbortController().signal;

describe('bringBack', () => {
  const how = { tier: 'standard', waitMs: 0 } as const;

  test('asks for what is archived, and is pending until it came', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1);
    here.destination.archive(keyOf(manifest));
    const copy = await here.copyOf(manifest);
    function asked(): number {
      return here.destination.requests.filter(({ method }) => method === 'retrieve').length;
    }

    for (const _time of [1, 2]) {
      await expect(bringBack(copy, how, here.app.context, NEVER)).rejects.toMatchObject({
        code: 'retrieval-pending',
        hint: containing('Run the same command again'),
      });
    }
    expect(asked()).toBe(1);
    here.destination.returnAll();
    await bringBack(copy, how, here.app.context, NEVER);
  });

  test('waits as long as it is told', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1);
    here.destination.archive(keyOf(manifest));
    const copy = await here.copyOf(manifest);
    await expect(
      bringBack(copy, { ...how, waitMs: 50 }, here.app.context, NEVER),
    ).rejects.toMatchObject({ code: 'retrieval-pending' });
    expect(here.app.events).toEqual([
      having({ type: 'retrieval-awaited', message: containing('1 file of') }),
    ]);
  });
});
