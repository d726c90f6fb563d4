import { rm } from 'node:fs/promises';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { verifiedAt } from '../../../src/core/catalog-entry.ts';
import { lastCopy } from '../../../src/core/copies.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import { verifier } from '../../../src/daemon/verifications.ts';
import type { App } from '../../../src/jobs/context.ts';
import { copyStage, keyOf, type CopyStage } from '../../support/copy-stage.ts';
import { containing, having } from '../../support/matchers.ts';

import { DAY_MS, entryOf, HOUR_MS, IDLE, verifierStage } from '../../support/verifier-stage.ts';

const NEVER = new AbortController().signal;

describe('the rotation', () => {
  test('a reading that is cut off is taken again by the next life, and rests while a backup runs', async () => {
    await using here = await copyStage();
    const manifest = await here.add(1, { isHere: true, bytes: 1_000_000 });
    const stopping = new AbortController();
    const running = Promise.withResolvers<undefined>();
    let turns = 0;
    const { verifier } = verifierStage(here, {
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
    await verifierStage(here).verifier.next(Date.now(), NEVER);
    expect(verifiedAt(await entryOf(here, manifest))).not.toBeNull();
  });

  test('what cannot be read for now keeps no other from its turn', async () => {
    await using here = await copyStage();
    const first = await here.add(1, { isHere: true });
    const second = await here.add(2, { isHere: true });
    const { app, logged } = verifierStage(here);
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
    const { verifier, logged } = verifierStage(here);
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
    await verifierStage(here).verifier.next(Date.now(), NEVER);
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
    const { verifier, logged } = verifierStage(here);
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
    const { verifier, logged } = verifierStage(here);
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
    const { verifier, logged } = verifierStage(here);
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
    await verifierStage(here).verifier.next(Date.now(), NEVER);
    expect(here.destination.requests.filter(({ method }) => method !== 'put')).toEqual([]);
  });
});
