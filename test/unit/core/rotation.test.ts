import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CatalogEntry, Receipt } from '../../../src/core/catalog-entry.ts';
import { formatBackupId } from '../../../src/core/layout.ts';
import {
  LARGEST_SAMPLE_BYTES,
  nextReading,
  nextSamples,
  READ_WITHIN_MS,
} from '../../../src/core/rotation.ts';
import { SAMPLE_ARCHIVE, sampleManifest } from '../../support/storage.ts';

const DAY_MS = 86_400_000;
const BEGIN_MS = Date.UTC(2026, 0, 1);

function entryOf(madeMs: number, number = 0): CatalogEntry {
  const suffix = (number % 65_536).toString(16).padStart(4, '0');
  const id = formatBackupId({ startedAt: new Date(madeMs), kind: 'full', suffix });
  return { manifest: sampleManifest({ id }), receipts: [] };
}

function learn(entry: CatalogEntry, receipt: Receipt): CatalogEntry {
  return { ...entry, receipts: [...entry.receipts, receipt] };
}

function verified(entry: CatalogEntry, atMs: number): CatalogEntry {
  return learn(entry, { type: 'verified', at: new Date(atMs).toISOString(), depth: 'stored' });
}

/** How backups come and go: hours between two, how many of them stay, and in which order they are read. */
const anyLife = fc.record({
  everyHours: fc.integer({ min: 8, max: 200 }),
  keepLast: fc.integer({ min: 1, max: 20 }),
  longEvery: fc.integer({ min: 4, max: 30 }),
  /** Days after which half of all that is kept for long is removed. */
  purgeDays: fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 6 }),
});

test('every backup that stays is read back within its time, one after the other', () => {
  fc.assert(
    fc.property(anyLife, ({ everyHours, keepLast, longEvery, purgeDays }) => {
      let here: CatalogEntry[] = [];
      const purges = purgeDays.map((day) => BEGIN_MS + day * DAY_MS).toSorted((a, b) => a - b);
      let nextMs = BEGIN_MS;
      let nowMs = BEGIN_MS;
      let oldestMs = 0;
      for (let made = 0; nowMs < BEGIN_MS + 100 * DAY_MS;) {
        const due = nextReading(here, nowMs);
        const dueMs = Math.max(nowMs, due?.dueMs ?? Infinity);
        nowMs = Math.min(nextMs, purges[0] ?? Infinity, dueMs);
        if (nowMs === purges[0]) {
          purges.shift();
          here = here.filter((_entry, index) => index % 2 === 0);
        } else if (nowMs === nextMs) {
          here.unshift(entryOf(nowMs, made));
          made += 1;
          nextMs += everyHours * 3_600_000;
          here = here.filter(
            ({ manifest }, index) =>
              index < keepLast || Number.parseInt(manifest.id.slice(-4), 16) % longEvery === 0,
          );
        } else {
          here = here.map((each) => (each === due?.entry ? verified(each, nowMs) : each));
        }
        for (const { manifest, receipts } of here) {
          const seenMs = Date.parse(receipts.at(-1)?.at ?? manifest.finishedAt);
          oldestMs = Math.max(oldestMs, nowMs - seenMs);
        }
      }
      expect(oldestMs).toBeLessThan(READ_WITHIN_MS);
    }),
    { numRuns: 30 },
  );
});

describe('nextReading', () => {
  test('is none where there is no backup', () => {
    expect(nextReading([], BEGIN_MS)).toBeNull();
  });

  test('takes the one that nobody looked at for longest, and says why', () => {
    const looked = verified(entryOf(BEGIN_MS), BEGIN_MS + 10 * DAY_MS);
    const unread = entryOf(BEGIN_MS + 5 * DAY_MS, 1);
    const nowMs = BEGIN_MS + 12 * DAY_MS;
    expect(nextReading([unread, looked], nowMs)).toMatchObject({
      entry: unread,
      reason: 'never read back, made 2026-01-06T00:00:00.000Z',
    });
    const both = [verified(unread, nowMs), looked];
    expect(nextReading(both, nowMs)).toMatchObject({
      entry: looked,
      reason: 'not read back since 2026-01-11T00:00:00.000Z',
    });
  });

  test('spreads those of one moment evenly', () => {
    const all = [0, 1, 2, 3].map((number) => entryOf(BEGIN_MS, number));
    expect(nextReading(all, BEGIN_MS)?.dueMs).toBe(BEGIN_MS + 7 * DAY_MS);
  });

  test('those that are late are due, but not all at once', () => {
    const nowMs = BEGIN_MS + 300 * DAY_MS;
    const all = [0, 1, 2, 3].map((number) => entryOf(BEGIN_MS, number));
    expect(nextReading(all, nowMs)?.dueMs).toBeLessThan(nowMs);
    const [first, ...others] = all;
    const after = nextReading([...others, verified(first as CatalogEntry, nowMs)], nowMs);
    expect(after?.dueMs).toBeGreaterThan(nowMs + 3_600_000);
    expect(after?.dueMs).toBeLessThan(nowMs + DAY_MS);
  });

  test('a look that a wrong clock wrote down is none', () => {
    const nowMs = BEGIN_MS + DAY_MS;
    const wrong = verified(entryOf(BEGIN_MS), BEGIN_MS + 3000 * DAY_MS);
    expect(nextReading([wrong, entryOf(BEGIN_MS, 1)], nowMs)).toMatchObject({
      entry: wrong,
      reason: 'not read back since 2034-03-20T00:00:00.000Z, which is in the future',
    });
    expect(nextReading([wrong], nowMs)?.dueMs).toBeLessThan(nowMs);
  });
});

describe('nextSamples', () => {
  function sent(entry: CatalogEntry, atMs: number): CatalogEntry {
    const at = new Date(atMs).toISOString();
    return learn(entry, { type: 'uploaded', at, destination: 's3', files: [] });
  }

  function sampled(entry: CatalogEntry, atMs: number): CatalogEntry {
    const at = new Date(atMs).toISOString();
    return learn(entry, { type: 'sampled', at, destination: 's3', depth: 'content' });
  }

  test('are the copies there, the one not read for longest first, one a week', () => {
    const old = sampled(sent(entryOf(BEGIN_MS), BEGIN_MS), BEGIN_MS + 20 * DAY_MS);
    const next = sent(entryOf(BEGIN_MS, 1), BEGIN_MS + 10 * DAY_MS);
    const lost = learn(sent(entryOf(BEGIN_MS, 2), BEGIN_MS), {
      type: 'lost',
      at: new Date(BEGIN_MS).toISOString(),
      destination: 's3',
      message: 'gone',
    });
    const found = nextSamples(
      [old, next, lost, entryOf(BEGIN_MS, 3)],
      's3',
      BEGIN_MS + 30 * DAY_MS,
    );
    expect(found.map(({ entry }) => entry)).toEqual([next, old]);
    expect(found[0]?.dueMs).toBe(BEGIN_MS + 27 * DAY_MS);
    expect(found[0]?.reason).toBe('never read back, sent 2026-01-11T00:00:00.000Z');
  });

  test('leaves out what would be dear', () => {
    const files = [{ ...SAMPLE_ARCHIVE, storedBytes: LARGEST_SAMPLE_BYTES + 1 }];
    const { manifest } = entryOf(BEGIN_MS);
    const large = sent({ manifest: { ...manifest, files }, receipts: [] }, BEGIN_MS);
    expect(nextSamples([large], 's3', BEGIN_MS)).toEqual([]);
  });

  test('of a place that never had a sample one is due a week after the first copy', () => {
    const found = nextSamples([sent(entryOf(BEGIN_MS), BEGIN_MS)], 's3', BEGIN_MS + DAY_MS);
    expect(found[0]?.dueMs).toBe(BEGIN_MS + 7 * DAY_MS);
  });
});
