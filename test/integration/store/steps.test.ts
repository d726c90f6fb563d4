import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isPinned } from '../../../src/core/catalog-entry.ts';
import { openCatalog } from '../../../src/store/catalog.ts';
import { readJournal } from '../../../src/store/journal.ts';
import { runStoreProcess } from '../../support/run-store-process.ts';
import { backupId, commitBackup, temporaryFolder } from '../../support/storage.ts';

const id = backupId(1);

/** The steps of an action on the file system, in order. */
async function stepsOf(action: string, prepare: (dir: string) => Promise<void>): Promise<string[]> {
  await using folder = await temporaryFolder();
  await prepare(folder.dir);
  const { said } = await runStoreProcess(action, folder.dir);
  return said as string[];
}

/** Kills the action before each of its steps and looks at what is left each time. */
async function killAtEachStep(
  action: string,
  prepare: (dir: string) => Promise<void>,
  look: (dir: string, step: string) => Promise<void>,
): Promise<number> {
  const steps = await stepsOf(action, prepare);
  async function killAt(number: number): Promise<void> {
    await using folder = await temporaryFolder();
    await prepare(folder.dir);
    const { signal } = await runStoreProcess(action, folder.dir, number);
    expect(signal).toBe('SIGKILL');
    await look(folder.dir, `before ${number}: ${steps[number - 1]}`);
  }
  for (let number = 1; number <= steps.length; number += 2) {
    await Promise.all([number, number + 1].filter((at) => at <= steps.length).map(killAt));
  }
  return steps.length;
}

/** Nothing is there yet. */
function nothing(): Promise<void> {
  return Promise.resolve();
}

async function oneBackup(dir: string): Promise<void> {
  await commitBackup(openCatalog({ dir, namespace: 'demo' }), { id });
}

function isBefore(steps: readonly string[], ...inOrder: readonly string[]): boolean {
  let from = 0;
  return inOrder.every((step) => {
    const at = steps.indexOf(step, from);
    from = at + 1;
    return at !== -1;
  });
}

describe('commit', () => {
  test('makes everything durable before the backup becomes visible', async () => {
    const steps = await stepsOf('step-commit', nothing);
    const order = [
      `sync ${id}.partial`,
      'sync .manifest.json.tmp',
      'rename manifest.json',
      `sync ${id}.partial`,
      `rename ${id}`,
      'sync db',
    ];
    expect(isBefore(steps, ...order), steps.join('\n')).toBe(true);
    expect(steps.at(-2)).toBe('sync db');
    // What the disposal of a committed draft does.
    expect(steps.at(-1)).toBe(`rm ${id}.partial`);
  });

  test('killed before any step leaves the whole backup or none, and nothing after a sweep', async () => {
    const seen = new Set<number>();
    const count = await killAtEachStep('step-commit', nothing, async (dir, step) => {
      const catalog = openCatalog({ dir, namespace: 'demo' });
      const entries = await catalog.entries('db');
      seen.add(entries.length);
      expect(await catalog.problems(), step).toEqual([]);
      await catalog.sweep('db');
      const names = await readdir(join(dir, 'db')).catch(() => []);
      expect(names, step).toEqual(entries.map((entry) => entry.manifest.id));
      for (const { manifest } of entries) {
        expect((await readdir(join(dir, 'db', manifest.id))).toSorted(), step).toEqual([
          'manifest.json',
          'shop.dump.zst',
        ]);
      }
      // The next run succeeds.
      await commitBackup(catalog, { id: backupId(2) });
      expect(await catalog.entries('db'), step).toHaveLength(entries.length + 1);
    });
    expect(count).toBeGreaterThan(12);
    expect(seen).toEqual(new Set([0, 1]));
  }, 60_000);
});

test('an archive is on the disk when its writing is done, all of it', async () => {
  const steps = await stepsOf('step-archive', nothing);
  expect(steps.slice(0, 2)).toEqual(['open shop.dump', 'chmod shop.dump']);
  expect(steps.slice(2, -1).every((step) => /^write(?:File|v) shop\.dump$/.test(step))).toBe(true);
  expect(steps.at(-1)).toBe('sync shop.dump');
});

describe('remove', () => {
  test('ends the existence of the backup before its files go', async () => {
    const steps = await stepsOf('step-remove', oneBackup);
    expect(steps).toEqual([`rename ${id}.removed`, 'sync db', `rm ${id}.removed`]);
  });

  test('killed before any step leaves the whole backup or none', async () => {
    await killAtEachStep('step-remove', oneBackup, async (dir, step) => {
      const catalog = openCatalog({ dir, namespace: 'demo' });
      const left = await catalog.entries('db');
      expect(await catalog.problems(), step).toEqual([]);
      await catalog.sweep('db');
      expect(await readdir(join(dir, 'db')), step).toEqual(left.map((entry) => entry.manifest.id));
    });
  }, 30_000);
});

test('a pin that is killed before any step is there wholly or not at all', async () => {
  const seen = new Set<boolean>();
  await killAtEachStep('step-receipt', oneBackup, async (dir, step) => {
    const catalog = openCatalog({ dir, namespace: 'demo' });
    const entry = await catalog.find(id);
    seen.add(isPinned(entry));
    expect(await catalog.problems(), step).toEqual([]);
    await catalog.addReceipt(entry, { type: 'pinned', at: '2026-01-03T00:00:00.000Z' });
    expect(isPinned(await catalog.find(id)), step).toBe(true);
  });
  expect(seen).toEqual(new Set([false, true]));
}, 30_000);

test('a journal that is killed before any step is the old one or the new one', async () => {
  const runs = new Set<string>();
  async function oldJournal(dir: string): Promise<void> {
    await mkdir(join(dir, '.backupd', 'journals'), { recursive: true });
    const path = join(dir, '.backupd', 'journals', 'db.json');
    await writeFile(path, JSON.stringify({ step: 'building', source: 'db', run: 'old' }));
  }
  await killAtEachStep('step-journal', oldJournal, async (dir) => {
    const state = await readJournal(dir, 'db');
    runs.add(state?.step === 'building' ? state.run : '');
  });
  expect(runs).toEqual(new Set(['old', 'new']));
}, 30_000);
