import { describe, expect, it } from 'vitest';
import { boundSource } from './paper-source.ts';
import { fakeApp, fakeIo, run, type FakeApp } from './support.ts';

const NEW = '20261122T020000Z-full-3fa9';

describe('restore', () => {
  async function withBackup(existing: readonly string[] = ['shop']): Promise<FakeApp> {
    const fake = await fakeApp();
    await fake.add();
    fake.discovery.sources.push(boundSource('db', { existing }));
    return fake;
  }

  it('without a terminal goes on, since what is replaced is kept', async () => {
    await using fake = await withBackup();
    const { exitCode, err, json } = await run(fake, 'restore db --json');
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(json()).toEqual({
      source: 'db',
      id: NEW,
      into: 'shop-db-1',
      databases: [
        {
          name: 'shop',
          restoredAs: 'shop',
          previous: 'shop_before_x',
          facts: { matches: true, differences: [] },
        },
      ],
      durationMs: expect.any(Number) as unknown,
      warnings: [{ code: 'left-out', message: 'tablespace "fast" is not there' }],
    });
  });

  it('prints the plan before it begins, and what was kept after', async () => {
    await using fake = await withBackup();
    const { out } = await run(fake, 'restore');
    const plan = out.indexOf('is kept under another name');
    expect(plan).toBeGreaterThan(0);
    expect(out.indexOf('restored db from')).toBeGreaterThan(plan);
    expect(out).toContain('shop_before_x');
    expect(out).toContain('"backupd restore db --undo"');
  });

  it('in a dry run only plans', async () => {
    await using fake = await withBackup([]);
    const { exitCode, json } = await run(fake, 'restore db --dry-run --as copy --json');
    expect(exitCode).toBe(0);
    expect(json()).toEqual({
      plan: true,
      source: 'db',
      id: NEW,
      into: 'shop-db-1',
      databases: [
        {
          name: 'shop',
          restoredAs: 'copy',
          replaces: false,
          sizeBytes: 12_345_678,
          previous: null,
          facts: null,
        },
      ],
      durationMs: null,
      startedAt: '2026-11-22T02:00:00.000Z',
      gap: null,
      stops: [],
      fetch: null,
      warnings: [],
    });
    expect((await run(fake, 'restore db --undo')).exitCode).toBe(17);
  });

  it.each([
    ['y\n', 0],
    ['yes\n', 0],
    ['\n', 130],
    ['n\n', 130],
    ['', 130],
  ])('with a terminal asks, and takes %j so that it exits %i', async (answer, expected) => {
    await using fake = await withBackup();
    const io = fakeIo({ isTerminal: true, answer });
    const { exitCode, out, err } = await run(fake, 'restore db', io);
    expect(exitCode).toBe(expected);
    expect(err).toContain('Restore this? [y/N] ');
    expect(out.includes('shop_before_x')).toBe(expected === 0);
  });

  it('does not ask with --yes', async () => {
    await using fake = await withBackup();
    const io = fakeIo({ isTerminal: true });
    const { exitCode, err } = await run(fake, 'restore db --yes', io);
    expect(exitCode).toBe(0);
    expect(err).not.toContain('[y/N]');
  });

  it('stops asking when it is told to stop', async () => {
    await using fake = await withBackup();
    const io = fakeIo({ isTerminal: true });
    const asked = new Promise<void>((resolve) => {
      io.stderr.on('data', () => {
        if (io.err().includes('[y/N]')) {
          resolve();
        }
      });
    });
    const running = run(fake, 'restore db', io);
    await asked;
    expect(io.signal('SIGINT')).toBe(true);
    expect((await running).exitCode).toBe(130);
  });

  it('undoes without a question, also as a plan only', async () => {
    await using fake = await withBackup();
    await run(fake, 'restore db');
    const plan = await run(fake, 'restore db --undo --dry-run --json');
    expect(plan.json()).toMatchObject({
      plan: true,
      source: 'db',
      id: null,
      databases: [{ name: 'shop_before_x', restoredAs: 'shop', facts: null }],
    });
    const io = fakeIo({ isTerminal: true });
    const { exitCode, out } = await run(fake, 'restore db --undo', io);
    expect(exitCode).toBe(0);
    expect(out).toContain('undone');
  });

  it('drops what was kept only where that is confirmed', async () => {
    await using fake = await withBackup();
    await run(fake, 'restore db');
    const refused = await run(fake, 'restore db --drop-previous');
    expect(refused.exitCode).toBe(2);
    expect(refused.out).toContain('shop_before_x');
    const denied = fakeIo({ isTerminal: true, answer: 'n\n' });
    expect((await run(fake, 'restore db --drop-previous', denied)).exitCode).toBe(130);
    expect((await run(fake, 'restore db --drop-previous --yes --json')).json()).toEqual({
      source: 'db',
      dropped: ['shop_before_x'],
    });
    expect((await run(fake, 'restore db --drop-previous --yes')).exitCode).toBe(17);
  });
});
