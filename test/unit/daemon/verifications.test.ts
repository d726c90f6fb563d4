import { rm, truncate, writeFile } from 'node:fs/promises';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { isDamaged, verifiedAt } from '../../../src/core/catalog-entry.ts';
import { lastCopy } from '../../../src/core/copies.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import { verifier, type Verifier } from '../../../src/daemon/verifications.ts';
import type { App } from '../../../src/jobs/context.ts';
import { verifyBackups } from '../../../src/jobs/verify.ts';
import { acquireLock } from '../../../src/store/lock.ts';
import { copyStage, keyOf, type CopyStage } from '../../support/copy-stage.ts';
import { containing, having } from '../../support/matchers.ts';

const NEVER = new AbortController().signal;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const IDLE = { idle: () => Promise.resolve() };

/** What a test sees of the log. */
interface Stage {
  readonly verifier: Verifier;
  readonly app: App;
  readonly logged: () => readonly Readonly<Record<string, unknown>>[];
}

function stage(here: CopyStage, queue: Parameters<typeof verifier>[1] = IDLE): Stage {
  const entries: Readonly<Record<string, unknown>>[] = [];
  const log = pino(
    { level: 'debug', base: null },
    {
      write(text: string) {
        entries.push(JSON.parse(text) as Readonly<Record<string, unknown>>);
      },
    },
  );
  // What is stored is what counts here, and bytes of chance have no format.
  const reader = { push() {}, end: () => ({ tables: {} }) };
  const app: App = { ...here.app, reader: () => Promise.resolve(reader as never) };
  return { verifier: verifier({ app, log }, queue), app, logged: () => entries };
}

async function flip(here: CopyStage, manifest: Manifest): Promise<void> {
  await writeFile(here.path(manifest), Buffer.alloc(manifest.files[0]?.storedBytes ?? 0));
}

async function entryOf(here: CopyStage, { id }: Manifest): ReturnType<Find> {
  return here.app.context.catalog.find(id);
}

type Find = App['context']['catalog']['find'];

describe('the rotation', () => {
  test('finds a flipped byte, and mends it from the copy', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true, bytes: 1000 });
    await flip(here, manifest);
    const { verifier, logged } = stage(here);

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

  test('without a copy it stays damaged, the others have their turn, and a copy that comes mends it', async () => {
    await using here = await copyStage();
    const damaged = await here.add(1, { isHere: true });
    const whole = await here.add(2, { isHere: true });
    const key = keyOf(damaged);
    const bytes = await here.destination.get(key, null, NEVER);
    here.destination.lose(key);
    await flip(here, damaged);
    const { verifier, logged } = stage(here);

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
    const { verifier, logged } = stage(here, queue);
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
    const { verifier } = stage(here, queue);
    const read: number[] = [];
    for (const hours of [0, 2, 25]) {
      turns = 0;
      await verifier.next(Date.now() + hours * HOUR_MS, NEVER);
      read.push(turns);
    }
    // The first turn is that of the look itself.
    expect(read).toEqual([3, 1, 3]);
  });

  test('the source is free while it is found out what is to be mended, piece by piece', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true, bytes: 1_000_000 });
    await truncate(here.path(manifest), 999_999);
    let locked = 0;
    const request = { command: 'backup', waitMs: 0 };
    const { verifier } = stage(here, {
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
    const { verifier, logged } = stage(here, {
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
    const { verifier, app } = stage(here);
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
    const { verifier, logged } = stage(here);
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
    await stage(here).verifier.next(Date.now(), NEVER);
    expect(await here.app.context.catalog.manifest('db', manifest.id)).toEqual(manifest);
  });

  test('a reading that is cut off is taken again by the next life, and rests while a backup runs', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true, bytes: 1_000_000 });
    const stopping = new AbortController();
    const running = Promise.withResolvers<undefined>();
    let turns = 0;
    const { verifier } = stage(here, {
      async idle() {
        turns += 1;
        if (turns === 3) {
          // A backup begins within the file.
          stopping.abort(new BackupdError('cancelled', 'told to stop'));
          await running.promise;
        }
      },
    });
    const reading = verifier.next(Date.now(), stopping.signal);
    await expect(reading).rejects.toThrow('told to stop');
    running.resolve(undefined);
    expect(turns).toBe(3);
    expect((await entryOf(here, manifest)).receipts).toEqual([]);
    await stage(here).verifier.next(Date.now(), NEVER);
    expect(verifiedAt(await entryOf(here, manifest))).not.toBeNull();
  });

  test('what cannot be read for now keeps no other from its turn', async () => {
    await using here = await copyStage();
    const first = await here.add(1, { isHere: true });
    const second = await here.add(2, { isHere: true });
    const { app, logged } = stage(here);
    let isFirst = true;
    const failing: App = {
      ...app,
      reader(...wanted) {
        if (isFirst) {
          isFirst = false;
          return Promise.reject(new BackupdError('format-unsupported', 'of the future'));
        }
        return app.reader(...wanted);
      },
    };
    const rotation = verifier({ app: failing, log: pino({ level: 'silent' }) }, IDLE);
    const nowMs = Date.now();
    await rotation.next(nowMs, NEVER);
    await rotation.next(nowMs, NEVER);
    expect((await entryOf(here, first)).receipts).toEqual([]);
    expect(verifiedAt(await entryOf(here, second))).not.toBeNull();
    expect(logged()).toEqual([]);
  });
});

describe('samples of copies', () => {
  async function sent(here: CopyStage, manifest: Manifest): Promise<void> {
    const at = new Date(Date.now() - 8 * DAY_MS).toISOString();
    const { catalog } = here.app.context;
    await catalog.addReceipt({ manifest }, { type: 'verified', at, depth: 'content' });
    await catalog.addReceipt({ manifest }, { type: 'uploaded', at, destination: 's3', files: [] });
  }

  test('are read back once a week', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    await sent(here, manifest);
    const { verifier, logged } = stage(here);
    const nowMs = Date.now();
    await verifier.next(nowMs, NEVER);
    expect((await entryOf(here, manifest)).receipts.at(-1)).toEqual(
      having({ type: 'sampled', destination: 's3', depth: 'content' }),
    );
    expect(logged()).toContainEqual(having({ msg: 'copy verified', destination: 's3' }));
    expect(await verifier.next(nowMs, NEVER)).toBeGreaterThan(nowMs + 6 * DAY_MS);
  });

  test('tell of a copy that rotted there: it is lost, and is sent again', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true, bytes: 100 });
    await sent(here, manifest);
    here.destination.alter(keyOf(manifest), Buffer.alloc(100));
    await stage(here).verifier.next(Date.now(), NEVER);
    expect(lastCopy(await entryOf(here, manifest), 's3')?.type).toBe('lost');
    expect(here.app.events).toContainEqual(having({ type: 'copy-lost', destination: 's3' }));
  });

  test('leave out what is archived, and are tried again where the place cannot be asked', async () => {
    await using here = await copyStage();
    const archived = await here.add(1, { isHere: true });
    const readable = await here.add(2, { isHere: true });
    await sent(here, archived);
    await sent(here, readable);
    here.destination.archive(keyOf(archived));
    here.destination.onRequest = () => {
      throw new BackupdError('destination-unavailable', 'away');
    };
    const { verifier, logged } = stage(here);
    const nowMs = Date.now();
    await verifier.next(nowMs, NEVER);
    expect(logged()).toContainEqual(having({ msg: 'copy not verified', error: 'away' }));
    here.destination.onRequest = () => undefined;
    expect(await verifier.next(nowMs, NEVER)).toBe(nowMs + HOUR_MS);
    await verifier.next(nowMs + HOUR_MS, NEVER);
    expect((await entryOf(here, readable)).receipts.at(-1)?.type).toBe('sampled');
    expect((await entryOf(here, archived)).receipts.at(-1)?.type).toBe('uploaded');
  });

  test('are taken of the one that can be read, however many are archived or gone before it', async () => {
    await using here = await copyStage();
    const before: Manifest[] = [];
    for (let number = 1; number <= 8; number += 1) {
      before.push(await here.add(number, { isHere: true }));
    }
    const readable = await here.add(9, { isHere: true });
    for (const manifest of [...before, readable]) {
      await sent(here, manifest);
    }
    const [gone, ...archived] = before;
    here.destination.lose(keyOf(gone ?? readable, 'manifest.json'));
    for (const manifest of archived) {
      here.destination.archive(keyOf(manifest));
    }
    const { verifier, logged } = stage(here);
    const nowMs = Date.now();
    // So many are read back here first.
    for (let nextMs = nowMs; nextMs <= nowMs;) {
      nextMs = await verifier.next(nowMs, NEVER);
    }
    expect(logged()).toContainEqual(having({ msg: 'copy verified', id: readable.id }));
    const lists = here.destination.requests.filter(({ method }) => method === 'list');
    expect(lists).toHaveLength(1);
  });

  test('are tried again after a day where there is none to be read', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    await sent(here, manifest);
    here.destination.archive(keyOf(manifest));
    const { verifier, logged } = stage(here);
    const nowMs = Date.now();
    await verifier.next(nowMs, NEVER);
    expect(logged()).toContainEqual(
      having({ msg: 'copy not verified', reason: containing('archived') }),
    );
    here.destination.returnAll();
    expect(await verifier.next(nowMs + HOUR_MS, NEVER)).toBe(nowMs + DAY_MS);
    await verifier.next(nowMs + DAY_MS, NEVER);
    expect((await entryOf(here, manifest)).receipts.at(-1)?.type).toBe('sampled');
  });

  test('are not taken of what is not here', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true });
    await sent(here, manifest);
    await rm(here.app.context.catalog.path(manifest, ''), { recursive: true });
    await stage(here).verifier.next(Date.now(), NEVER);
    expect(here.destination.requests.filter(({ method }) => method !== 'put')).toEqual([]);
  });
});
