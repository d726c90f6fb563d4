import type { CatalogEntry } from './catalog-entry.ts';
import { hasCopy } from './copies.ts';
import { storedBytes } from './manifest.ts';
import { aheadMs } from './newest.ts';

const DAY_MS = 86_400_000;
/** Every backup is read back within this time, as long as the daemon runs. */
export const READ_WITHIN_MS = 30 * DAY_MS;
/** What is aimed at, so that a daemon which was off for a while is in time still. */
const AIM_MS = 28 * DAY_MS;
/** What is late already is spread over about this time, and not read in one go. */
const CATCH_UP_MS = 2 * DAY_MS;
/** From one to the next at least, however many there are. */
const LEAST_STEP_MS = 60_000;
/** How often a copy is read back at each destination. */
const SAMPLE_EVERY_MS = 7 * DAY_MS;
/** Larger copies are not read by themselves: stores ask money for what leaves them. */
export const LARGEST_SAMPLE_BYTES = 1024 ** 3;

/** What is to be read back next, when, and why it is this one. */
export interface NextReading {
  readonly entry: CatalogEntry;
  readonly dueMs: number;
  readonly reason: string;
}

/** A backup with the instant at which it was known to be whole last, as far as somebody looked. */
interface Seen {
  readonly entry: CatalogEntry;
  readonly atMs: number;
  readonly reason: string;
}

/**
 * The backup here that is to be read back next: the one that nobody looked at for longest. They are spread evenly: the
 * pace is the slowest at which each of them is reached in time. All of it follows from manifests and receipts, so that a
 * restart changes nothing; only looks that were taken count, a look that was cut off is taken again.
 */
export function nextReading(entries: readonly CatalogEntry[], nowMs: number): NextReading | null {
  const seen = entries.map((entry) => seenHere(entry, nowMs)).toSorted(byInstant);
  const [first] = seen;
  if (first === undefined) {
    return null;
  }
  const beganMs = lastOf(entries.flatMap((entry) => looksAt(entry, nowMs))) ?? first.atMs;
  const steps = seen.map(({ atMs }, index) => {
    const leftMs = atMs + AIM_MS - beganMs;
    return (leftMs > 0 ? leftMs : CATCH_UP_MS) / (index + 1);
  });
  const stepMs = steps.reduce((least, step) => Math.min(least, step));
  const dueMs = beganMs + Math.max(LEAST_STEP_MS, stepMs);
  return { entry: first.entry, dueMs, reason: first.reason };
}

/**
 * The copies at a destination in the order in which they are to be read back, the first one at `dueMs`: those that were
 * not read for longest come first; empty where there is none that is small enough.
 */
export function nextSamples(
  entries: readonly CatalogEntry[],
  destination: string,
  nowMs: number,
): readonly NextReading[] {
  const copied = entries.filter((entry) => hasCopy(entry, destination));
  const seen = copied
    .filter(({ manifest }) => storedBytes(manifest) <= LARGEST_SAMPLE_BYTES)
    .map((entry) => seenThere(entry, destination, nowMs))
    .toSorted(byInstant);
  const samples = entries.flatMap((entry) => samplesOf(entry, destination, nowMs));
  const beganMs = lastOf(samples) ?? seen[0]?.atMs ?? nowMs;
  const dueMs = beganMs + SAMPLE_EVERY_MS;
  return seen.map(({ entry, reason }) => ({ entry, dueMs, reason }));
}

/** What was written down by a clock that was ahead of this one says nothing: it counts as never looked at. */
function seenHere(entry: CatalogEntry, nowMs: number): Seen {
  const last = entry.receipts.findLast(({ type }) => type === 'verified' || type === 'damaged');
  const at = last?.at ?? entry.manifest.finishedAt;
  const words = last === undefined ? 'never read back, made' : 'not read back since';
  return seenAt(entry, { at, words }, nowMs);
}

function seenThere(entry: CatalogEntry, destination: string, nowMs: number): Seen {
  const last = entry.receipts.findLast(
    (receipt) =>
      (receipt.type === 'sampled' || receipt.type === 'uploaded') &&
      receipt.destination === destination,
  );
  const at = last?.at ?? entry.manifest.finishedAt;
  const words = last?.type === 'sampled' ? 'not read back since' : 'never read back, sent';
  return seenAt(entry, { at, words }, nowMs);
}

function seenAt(
  entry: CatalogEntry,
  { at, words }: { readonly at: string; readonly words: string },
  nowMs: number,
): Seen {
  return aheadMs(at, nowMs) > 0
    ? { entry, atMs: 0, reason: `${words} ${at}, which is in the future` }
    : { entry, atMs: Date.parse(at), reason: `${words} ${at}` };
}

function looksAt({ receipts }: CatalogEntry, nowMs: number): readonly number[] {
  return receipts.flatMap(({ type, at }) =>
    (type === 'verified' || type === 'damaged') && aheadMs(at, nowMs) === 0 ? [Date.parse(at)] : [],
  );
}

function samplesOf(
  { receipts }: CatalogEntry,
  destination: string,
  nowMs: number,
): readonly number[] {
  return receipts.flatMap((receipt) =>
    receipt.type === 'sampled' &&
    receipt.destination === destination &&
    aheadMs(receipt.at, nowMs) === 0
      ? [Date.parse(receipt.at)]
      : [],
  );
}

function lastOf(instants: readonly number[]): number | null {
  return instants.reduce<number | null>((last, each) => Math.max(last ?? each, each), null);
}

/** Of two that were seen at once the older backup first. */
function byInstant(one: Seen, other: Seen): number {
  return one.atMs - other.atMs || (one.entry.manifest.id < other.entry.manifest.id ? -1 : 1);
}
