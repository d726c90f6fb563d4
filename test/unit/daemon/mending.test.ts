import { readFile, truncate, writeFile } from 'node:fs/promises';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { isDamaged, verifiedAt } from '../../../src/core/catalog-entry.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import { verifier } from '../../../src/daemon/verifications.ts';
import type { App } from '../../../src/jobs/context.ts';
import { verifyBackups } from '../../../src/jobs/verify.ts';
import { acquireLock } from '../../../src/store/lock.ts';
import { copyStage, keyOf } from '../../support/copy-stage.ts';
import { containing, having } from '../../support/matchers.ts';

import {
  DAY_MS,
  entryOf,
  flip,
  HOUR_MS,
  IDLE,
  verifierStage,
} from '../../support/verifier-stage.ts';

const NEVER = new AbortController().signal;

describe('a damaged backup', () => {
  test('finds a flipped byte, and mends it from the copy', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true, bytes: 1000 });
    await flip(here, manifest);
    const { verifier, logged } = verifierStage(here);

    await verifier.next(Date.now(), NEVER);
    expect(isDamaged(await entryOf(here, manifest))).toBe(true);
    expect(logged()).toContainEqual(
      having({ msg: 'backup is read back', reason: containing('never read back') }),
    );

    await verifier.next(Date.now(), NEVER);
    const mended = await entryOf(here, manifest);
    expect(isDamaged(mended)).toBe(false);
    expect(mended.receipts.at(-1)).toEqual(having({ type: 'verified', depth: 'content' }));
    expect(here.app.events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['verified', 'copy-taken', 'fetched']),
    );
  });

  test('is seen at a glance, and written down before anything is done about it', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true, bytes: 1000 });
    here.destination.lose(keyOf(manifest));
    await truncate(here.path(manifest), 999);
    const { verifier } = verifierStage(here);
    await verifier.next(Date.now(), NEVER);
    expect(isDamaged(await entryOf(here, manifest))).toBe(true);
    expect(here.app.events).toContainEqual(
      having({ type: 'verified', failure: having({ code: 'archive-corrupt' }) }),
    );
  });

  test('that somebody else made whole again is read, and is whole', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true, bytes: 1000 });
    const whole = await readFile(here.path(manifest));
    await flip(here, manifest);
    const { verifier } = verifierStage(here);
    await verifier.next(Date.now(), NEVER);
    expect(isDamaged(await entryOf(here, manifest))).toBe(true);
    await writeFile(here.path(manifest), whole);
    await verifier.next(Date.now(), NEVER);
    expect(isDamaged(await entryOf(here, manifest))).toBe(false);
    expect(here.app.events.map(({ type }) => type)).not.toContain('copy-taken');
  });

  test('without a copy it stays damaged, the others have their turn, and a copy that comes mends it', async () => {
    await using here = await copyStage();
    const damaged = await here.add(1, { isHere: true });
    const whole = await here.add(2, { isHere: true });
    const key = keyOf(damaged);
    const bytes = await here.destination.get(key, null, NEVER);
    here.destination.lose(key);
    await flip(here, damaged);
    const { verifier, logged } = verifierStage(here);

    const nowMs = Date.now();
    await verifier.next(nowMs, NEVER);
    await verifier.next(nowMs, NEVER);
    expect(logged()).toContainEqual(
      having({ msg: 'damaged backup not mended', reason: containing('no destination') }),
    );
    // Not at once, so that many that are late are no burst.
    expect(await verifier.next(nowMs, NEVER)).toBeGreaterThan(nowMs + HOUR_MS);
    expect(verifiedAt(await entryOf(here, whole))).toBeNull();
    await verifier.next(nowMs + 3 * DAY_MS, NEVER);
    await verifier.next(nowMs + 3 * DAY_MS, NEVER);
    expect(verifiedAt(await entryOf(here, whole))).not.toBeNull();
    expect(isDamaged(await entryOf(here, damaged))).toBe(true);

    await here.destination.put(key, bytes ?? Buffer.alloc(0), { ifAbsent: false }, NEVER);
    await verifier.next(nowMs + 4 * DAY_MS, NEVER);
    expect(isDamaged(await entryOf(here, damaged))).toBe(false);
    const warned = logged().filter(({ msg }) => msg === 'damaged backup not mended');
    expect(warned).toHaveLength(1);
  });

  test('what cannot be mended is not read, holds up nobody, and is not asked for every hour', async () => {
    await using here = await copyStage();
    const damaged = await here.add(1, { isHere: true, bytes: 1_000_000 });
    here.destination.lose(keyOf(damaged));
    await truncate(here.path(damaged), 999_999);
    let turns = 0;
    const queue = {
      async idle() {
        turns += 1;
        await Promise.resolve();
      },
    };
    const { verifier, logged } = verifierStage(here, queue);
    const request = { command: 'restore', waitMs: 0 };
    await using _lock = await acquireLock(here.dir, 'db', request, NEVER);
    const nowMs = Date.now();
    await verifier.next(nowMs, NEVER);
    expect(turns).toBe(1);
    expect(logged()).toContainEqual(having({ reason: containing('no destination') }));
    const asked = here.destination.requests.length;
    const { catalog } = here.app.context;
    const at = new Date(nowMs).toISOString();
    await catalog.addReceipt({ manifest: damaged }, { type: 'damaged', at, message: 'cut' });
    await verifier.next(nowMs + 2 * HOUR_MS, NEVER);
    expect(here.destination.requests).toHaveLength(asked);
    await verifier.next(nowMs + 25 * HOUR_MS, NEVER);
    expect(here.destination.requests.length).toBeGreaterThan(asked);
  });

  test('what is stored as it was written is not read again every hour', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    const at = new Date().toISOString();
    const damaged = { type: 'damaged', at, depth: 'content', message: 'cut' } as const;
    await here.app.context.catalog.addReceipt({ manifest }, damaged);
    let turns = 0;
    const queue = {
      async idle() {
        turns += 1;
        await Promise.resolve();
      },
    };
    const app: App = {
      ...here.app,
      reader: () => Promise.reject(new BackupdError('archive-corrupt', 'cut')),
    };
    const rotation = verifier({ app, log: pino({ level: 'silent' }) }, queue);
    const read: number[] = [];
    for (const hours of [0, 2, 25]) {
      turns = 0;
      await rotation.next(Date.now() + hours * HOUR_MS, NEVER);
      read.push(turns);
    }
    // The first turn is that of the look itself.
    expect(read).toEqual([3, 1, 3]);
    expect(isDamaged(await entryOf(here, manifest))).toBe(true);
  });

  test('the source is free while it is found out what is to be mended, piece by piece', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true, bytes: 1_000_000 });
    await truncate(here.path(manifest), 999_999);
    let locked = 0;
    const request = { command: 'backup', waitMs: 0 };
    const { verifier } = verifierStage(here, {
      async idle() {
        await using _lock = await acquireLock(here.dir, 'db', request, NEVER);
        locked += 1;
      },
    });
    await verifier.next(Date.now(), NEVER);
    // Before the look; for four pieces and the end of the file, then; and for those once more when it is verified.
    expect(locked).toBe(11);
    expect(isDamaged(await entryOf(here, manifest))).toBe(false);
    expect(here.app.events.map(({ type }) => type)).toContain('fetched');
  });

  test('one that retention removed while it was read does not come back', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    await truncate(here.path(manifest), 6);
    let turns = 0;
    const { verifier, logged } = verifierStage(here, {
      async idle() {
        turns += 1;
        if (turns === 2) {
          await here.app.context.catalog.remove(manifest);
        }
      },
    });
    await verifier.next(Date.now(), NEVER);
    expect(await here.app.context.catalog.entries('db')).toEqual([]);
    expect(logged()).toContainEqual(having({ msg: 'damaged backup not mended' }));
  });

  test('a verification that passes takes the damage back', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    const content = await here.destination.get(keyOf(manifest), null, NEVER);
    here.destination.lose(keyOf(manifest));
    await flip(here, manifest);
    const { verifier, app } = verifierStage(here);
    await verifier.next(Date.now(), NEVER);
    expect(isDamaged(await entryOf(here, manifest))).toBe(true);
    await writeFile(here.path(manifest), content ?? '');
    await verifyBackups({ source: null, id: manifest.id }, app, NEVER);
    expect(isDamaged(await entryOf(here, manifest))).toBe(false);
  });

  test('what was found with a key is mended by a daemon that has none', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    const { context, ...app } = here.app;
    const at = new Date().toISOString();
    const damaged = { type: 'damaged', at, depth: 'content', message: 'cut' } as const;
    await context.catalog.addReceipt({ manifest }, damaged);
    await flip(here, manifest);
    const ring = {
      ...context.keys.ring(),
      open: () => Promise.reject(new BackupdError('key-missing', 'no key')),
    };
    const keys = { ...context.keys, ring: () => ring };
    const without = { ...app, context: { ...context, keys } };
    await verifier({ app: without, log: pino({ level: 'silent' }) }, IDLE).next(Date.now(), NEVER);
    const mended = await entryOf(here, manifest);
    expect(mended.receipts.at(-1)).toEqual(having({ type: 'verified', depth: 'stored' }));
    expect(isDamaged(mended)).toBe(false);
  });

  test('an archived copy is not asked back', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    await flip(here, manifest);
    here.destination.archive(keyOf(manifest));
    const { verifier, logged } = verifierStage(here);
    await verifier.next(Date.now(), NEVER);
    await verifier.next(Date.now(), NEVER);
    expect(logged()).toContainEqual(having({ reason: containing('in an archive') }));
    expect(here.destination.requests.map(({ method }) => method)).not.toContain('retrieve');
  });

  test('a damaged manifest is mended, too', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    const path = here.app.context.catalog.path(manifest, 'manifest.json');
    await writeFile(path, '{"format":1');
    await verifierStage(here).verifier.next(Date.now(), NEVER);
    expect(await here.app.context.catalog.manifest('db', manifest.id)).toEqual(manifest);
  });
});
