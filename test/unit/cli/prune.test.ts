import { describe, expect, it } from 'vitest';
import type { BackupId } from '../../../src/core/layout.ts';
import { boundSource } from './paper-source.ts';
import { fakeApp, run, type FakeApp } from './support.ts';

describe('prune', () => {
  async function fill(fake: FakeApp, last: number): Promise<void> {
    for (let day = 10; day < 16; day += 1) {
      await fake.add({
        id: `202611${day}T020000Z-full-0001` as BackupId,
        startedAt: `2026-11-${day}T02:00:00.000Z`,
      });
    }
    const bound = boundSource('db');
    const none = { hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, withinMs: 0 };
    fake.discovery.sources.push({
      ...bound,
      job: { ...bound.job, keep: { all: false, last, ...none } },
    });
  }

  it('tells every verdict with its reasons, and in a dry run removes nothing', async () => {
    await using fake = await fakeApp();
    await fill(fake, 5);
    const dry = await run(fake, 'prune --dry-run --json');
    expect(dry.exitCode).toBe(0);
    expect(dry.json()).toHaveLength(6);
    expect(dry.json()).toMatchObject([
      {
        id: '20261115T020000Z-full-0001',
        source: 'db',
        where: 'local',
        keep: true,
        removed: false,
      },
      {},
      {},
      {},
      {},
      { id: '20261110T020000Z-full-0001', keep: false, removed: false, error: null },
    ]);
    expect((await run(fake, 'prune db --json')).json()).toMatchObject([
      {},
      {},
      {},
      {},
      {},
      { keep: false, removed: true },
    ]);
    expect(await fake.app.context.catalog.entries('db')).toHaveLength(5);
  });

  it('holds a mass removal until it is told to go on', async () => {
    await using fake = await fakeApp();
    await fill(fake, 1);
    const dry = await run(fake, 'prune --dry-run');
    expect(dry.exitCode).toBe(0);
    expect(dry.err).toContain('error: db: 5 backups would be removed');
    const held = await run(fake, 'prune --json');
    expect({ exitCode: held.exitCode, err: held.err }).toEqual({ exitCode: 2, err: '' });
    expect((held.json() as unknown[]).at(-1)).toMatchObject({
      id: null,
      source: 'db',
      error: { code: 'usage' },
    });
    expect(await fake.app.context.catalog.entries('db')).toHaveLength(6);
    expect((await run(fake, 'prune --yes')).exitCode).toBe(0);
    expect(await fake.app.context.catalog.entries('db')).toHaveLength(1);
  });
});
