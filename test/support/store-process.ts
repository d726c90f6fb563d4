/**
 * A process of its own that works on a directory of backups, for tests of what happens when one dies or several meet:
 * `node store-process.ts ACTION DIR [N]`. Writes lines of JSON to stdout.
 */
import { writeFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { watchFileSteps } from './file-steps.ts';
import { backupId, commitBackup } from './storage.ts';

const [, , action = '', dir = '', argument = '0'] = process.argv;
const number = Number(argument);
const signal = new AbortController().signal;

const steps: string[] = [];
let counting = false;
if (action.startsWith('step-')) {
  await watchFileSteps((step) => {
    if (!counting) {
      return;
    }
    steps.push(step);
    if (action === 'step-receipt-overtaken' && step === 'open 0001.partial') {
      const path = join(dir, 'db', backupId(1), 'receipts', '0001-unpinned.json');
      writeFileSync(path, JSON.stringify({ type: 'unpinned', at: '2026-01-01T00:00:00.000Z' }));
    }
    if (steps.length === number) {
      process.kill(process.pid, 'SIGKILL');
    }
  });
}
const { acquireLock, journal, openCatalog, openStorage, rewriteLock, toFailure, writeArchive } =
  await import('./store-modules.ts');

function say(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function pin(): Promise<void> {
  const catalog = openCatalog({ dir, namespace: 'demo' });
  const entry = await catalog.find(backupId(1));
  counting = true;
  await catalog.addReceipt(entry, { type: 'pinned', at: '2026-01-02T00:00:00.000Z' });
}

const actions: Readonly<Record<string, () => Promise<void>>> = {
  /** Commits backup 1, dies before the N-th step. */
  async 'step-commit'() {
    const catalog = openCatalog({ dir, namespace: 'demo' });
    counting = true;
    await commitBackup(catalog, { id: backupId(1) });
  },
  /** Writes an archive of three pieces. */
  async 'step-archive'() {
    counting = true;
    const how = {
      path: join(dir, 'shop.dump'),
      encoding: 'none',
      compression: { algorithm: 'none', level: 0 },
      encrypt: () => [],
      reader: { push: () => undefined, end: () => ({}) },
      onProgress: () => undefined,
    } as const;
    await writeArchive(Readable.from(['one', 'two', 'three'], { objectMode: false }), how, signal);
  },
  async 'step-remove'() {
    const catalog = openCatalog({ dir, namespace: 'demo' });
    counting = true;
    await catalog.remove({ source: 'db', id: backupId(1) });
  },
  'step-receipt': pin,
  /** As if another process had taken the number at the last moment. */
  'step-receipt-overtaken': pin,
  async 'step-journal'() {
    counting = true;
    await journal(dir, 'db').write({
      step: 'building',
      engine: 'postgres',
      source: 'db',
      run: 'new',
      target: {
        containerId: '1',
        container: 'demo-db-1',
        image: 'postgres:17',
        imageId: '',
        repoDigests: [],
      },
    });
  },
  /** Opens the directory for writing. */
  async 'open-storage'() {
    const options = { namespace: null, fallbackNamespace: () => Promise.resolve(argument) };
    try {
      const { identity, namespace } = await openStorage(dir, { ...options, access: 'write' });
      say({ identity, namespace });
    } catch (error) {
      say(toFailure(error));
    }
  },
  /** Writes N receipts of backup 1 at once. */
  async receipts() {
    const catalog = openCatalog({ dir, namespace: 'demo' });
    const entry = await catalog.find(backupId(1));
    const indices = Array.from({ length: number }, (_, index) => index);
    await Promise.all(
      indices.map((index) =>
        catalog.addReceipt(entry, {
          type: 'damaged',
          at: '2026-01-02T00:00:00.000Z',
          message: `${process.pid} ${index}`,
        }),
      ),
    );
  },
  /** Holds the lock of `db` until it is killed. */
  async hold() {
    const lock = await acquireLock(dir, 'db', { command: 'backup db', waitMs: 0 }, signal);
    await lock.describe({
      id: backupId(1),
      startedAt: '2026-01-01T01:00:00.000Z',
      trigger: 'manual',
    });
    say('held');
    await delay(60_000);
  },
  /** Takes the lock of `db` as often as it can for N ms, now and then leaving it as a dead process does. */
  async rush() {
    const endsAtMs = performance.now() + number;
    const counts = { taken: 0, inherited: 0, violations: 0 };
    while (performance.now() < endsAtMs) {
      try {
        const lock = await acquireLock(dir, 'db', { command: 'rush', waitMs: 0 }, signal);
        counts.taken += 1;
        counts.inherited += lock.dead === null ? 0 : 1;
        await workAlone(counts);
        if (counts.taken % 2 === 0) {
          await lock[Symbol.asyncDispose]();
        } else {
          await rewriteLock(dir, 'db');
        }
      } catch (error) {
        if ((error as { code?: string }).code !== 'locked') {
          throw error;
        }
      }
    }
    say(counts);
  },
};

async function workAlone(counts: { violations: number }): Promise<void> {
  const path = join(dir, 'alone');
  try {
    const file = await open(path, 'wx');
    await file.close();
  } catch {
    counts.violations += 1;
    return;
  }
  await rm(path);
}

await actions[action]?.();
if (action.startsWith('step-')) {
  say(steps);
}
process.exit(0);
