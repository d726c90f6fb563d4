import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { pendingCopies } from '../../../src/core/copies.ts';
import { formatBackupId } from '../../../src/core/layout.ts';
import {
  isGood,
  isPinned,
  type CatalogEntry,
  type Receipt,
} from '../../../src/core/catalog-entry.ts';
import { decideRetention, toCandidate } from '../../../src/core/retention.ts';
import { sampleManifest } from '../../support/storage.ts';
import { policy } from './retention-samples.ts';

const BEGIN_MS = Date.UTC(2026, 0, 1);
const DAYS = 200;
const SOURCES = 20;

/** How one source lives: when it is backed up, what of it is pinned or goes wrong, and what is kept where. */
const anyLife = fc.record({
  everyHours: fc.constantFrom(12, 24, 50),
  pinEvery: fc.integer({ min: 5, max: 60 }),
  flawEvery: fc.integer({ min: 2, max: 30 }),
  /** Days on which uploads fail. */
  outage: fc.record({
    from: fc.integer({ min: 0, max: DAYS }),
    days: fc.integer({ min: 0, max: 40 }),
  }),
  here: fc.record({
    last: fc.integer({ min: 1, max: 3 }),
    daily: fc.integer({ min: 0, max: 7 }),
    weekly: fc.integer({ min: 0, max: 4 }),
  }),
  there: fc.record({
    last: fc.integer({ min: 0, max: 2 }),
    daily: fc.integer({ min: 0, max: 30 }),
    monthly: fc.integer({ min: 0, max: 6 }),
  }),
});

type Life = typeof anyLife extends fc.Arbitrary<infer T> ? T : never;

/** Backups here and at a destination, as a source goes through its days. */
interface World {
  here: CatalogEntry[];
  there: CatalogEntry[];
  made: number;
}

function learn(entry: CatalogEntry, receipt: Receipt): CatalogEntry {
  return { ...entry, receipts: [...entry.receipts, receipt] };
}

function backUp(world: World, life: Life, nowMs: number): void {
  world.made += 1;
  const suffix = (world.made % 65_536).toString(16).padStart(4, '0');
  const id = formatBackupId({ startedAt: new Date(nowMs), kind: 'full', suffix });
  const at = new Date(nowMs).toISOString();
  const suspicious = world.made % life.flawEvery === 0;
  const isPin = world.made % life.pinEvery === 0;
  const receipts: readonly Receipt[] = isPin ? [{ type: 'pinned', at }] : [];
  world.here.unshift({ manifest: sampleManifest({ id, suspicious }), receipts });
}

function send(world: World, life: Life, nowMs: number): number {
  const rules = { destination: 's3', keep: policy(life.there), timezone: 'UTC' };
  const pending = pendingCopies(world.here, rules, nowMs);
  for (const entry of pending) {
    const at = new Date(nowMs).toISOString();
    const sent = learn(entry, { type: 'uploaded', at, destination: 's3', files: [] });
    world.here = world.here.map((one) => (one === entry ? sent : one));
    world.there.unshift({ manifest: entry.manifest, receipts: entry.receipts });
  }
  return pending.length;
}

function pruneThere(world: World, life: Life, nowMs: number): void {
  const candidates = world.there.map((entry) => toCandidate(entry, nowMs));
  const verdicts = decideRetention(candidates, policy(life.there), 'UTC');
  const gone = new Set(verdicts.filter(({ keep }) => !keep).map(({ id }) => id));
  const at = new Date(nowMs).toISOString();
  world.there = world.there.filter(({ manifest }) => !gone.has(manifest.id));
  world.here = world.here.map((entry) =>
    gone.has(entry.manifest.id) ? learn(entry, { type: 'removed', at, destination: 's3' }) : entry,
  );
}

function pruneHere(world: World, life: Life, nowMs: number): void {
  const rules = { destination: 's3', keep: policy(life.there), timezone: 'UTC' };
  const newest = pendingCopies(world.here, rules, nowMs).at(-1)?.manifest.id;
  const candidates = world.here.map((entry) => ({
    ...toCandidate(entry, nowMs),
    holds: entry.manifest.id === newest ? ['newest not yet there'] : [],
  }));
  const verdicts = decideRetention(candidates, policy(life.here), 'UTC');
  const gone = new Set(verdicts.filter(({ keep }) => !keep).map(({ id }) => id));
  world.here = world.here.filter(({ manifest }) => !gone.has(manifest.id));
}

function newestGood(entries: readonly CatalogEntry[]): string | undefined {
  return entries
    .filter((entry) => isGood(entry))
    .map(({ manifest }) => manifest.id)
    .toSorted()
    .at(-1);
}

/** Goes through all days, and looks at each that nothing is lost. */
function live(life: Life): void {
  const world: World = { here: [], there: [], made: 0 };
  const pins = new Set<string>();
  let sent = 0;
  for (let hour = 0; hour < DAYS * 24; hour += life.everyHours) {
    const nowMs = BEGIN_MS + hour * 3_600_000;
    backUp(world, life, nowMs);
    const day = hour / 24;
    const isDown = day >= life.outage.from && day < life.outage.from + life.outage.days;
    const lastThere = newestGood(world.there);
    if (!isDown) {
      sent += send(world, life, nowMs);
      pruneThere(world, life, nowMs);
      expect(newestGood(world.there)).toBe(newestGood(world.here));
    }
    expect((newestGood(world.there) ?? '') >= (lastThere ?? '')).toBe(true);
    const lastHere = newestGood(world.here);
    pruneHere(world, life, nowMs);
    expect(newestGood(world.here)).toBe(lastHere);
    for (const entry of world.here.filter((one) => isPinned(one))) {
      pins.add(entry.manifest.id);
    }
    for (const id of pins) {
      expect(world.here.some(({ manifest }) => manifest.id === id)).toBe(true);
      expect(isDown || world.there.some(({ manifest }) => manifest.id === id)).toBe(true);
    }
  }
  // Nothing goes to and fro.
  expect(sent).toBeLessThanOrEqual(world.made);
}

test('two hundred days of twenty sources: never past the last good backup, never a pin, here or there', () => {
  fc.assert(fc.property(anyLife, live), { numRuns: SOURCES });
}, 60_000);
