import type { DestinationSettings } from './destination-settings.ts';
import type { Job, RetentionPolicy } from './job.ts';
import {
  isDamaged,
  isGood,
  isPinned,
  type CatalogEntry,
  type Receipt,
  type SentFile,
} from './catalog-entry.ts';
import { decideRetention, toCandidate } from './retention.ts';

/** A receipt that says whether a copy of a backup is at a destination. */
export type CopyReceipt = Extract<Receipt, { readonly type: 'uploaded' | 'lost' | 'removed' }>;

type Receipts = Pick<CatalogEntry, 'receipts'>;

/** The last word on the copy at a destination; null: none was ever there. */
export function lastCopy({ receipts }: Receipts, destination: string): CopyReceipt | null {
  const last = receipts.findLast(
    (receipt) => isCopyReceipt(receipt) && receipt.destination === destination,
  );
  return (last as CopyReceipt | undefined) ?? null;
}

/** Whether all of it is at a destination, as far as is known here. */
export function hasCopy(entry: Receipts, destination: string): boolean {
  return lastCopy(entry, destination)?.type === 'uploaded';
}

/** Where copies are, as far as is known here, by name; also at destinations that are not configured any more. */
export function listCopies(
  entry: Receipts,
): readonly { readonly destination: string; readonly at: string }[] {
  const names = entry.receipts.flatMap((receipt) =>
    isCopyReceipt(receipt) ? [receipt.destination] : [],
  );
  return [...new Set(names)].toSorted().flatMap((destination) => {
    const last = lastCopy(entry, destination);
    return last?.type === 'uploaded' ? [{ destination, at: last.at }] : [];
  });
}

/** What was sent to a destination when it was sent last, though it may be lost since. */
export function sentFiles({ receipts }: Receipts, destination: string): readonly SentFile[] {
  const last = receipts.findLast(
    (receipt) => receipt.type === 'uploaded' && receipt.destination === destination,
  );
  return last?.type === 'uploaded' ? last.files : [];
}

/**
 * Whether a receipt is kept beside the copies, too: what was learnt of the data. What this `/backups` knows of places is
 * no matter of theirs, and damage is that of the copy on this disk.
 */
export function isMirrored({ type }: { readonly type: string }): boolean {
  return !OF_THIS_PLACE.has(type);
}

const OF_THIS_PLACE: ReadonlySet<string> = new Set([
  'uploaded',
  'sampled',
  'lost',
  'removed',
  'damaged',
]);

/** What a destination keeps of one source. */
export interface CopyRules {
  readonly destination: string;
  readonly keep: RetentionPolicy;
  /** IANA name. */
  readonly timezone: string;
}

/** The rules of a destination for a source: its own, else those of the source. */
export function copyRules(
  { name, keep }: Pick<DestinationSettings, 'name' | 'keep'>,
  source: { readonly keep: RetentionPolicy; readonly timezone: string },
): CopyRules {
  return { destination: name, keep: keep ?? source.keep, timezone: source.timezone };
}

/** What retention goes by here, as a destination takes it. */
export function jobRules({ keep, schedule }: Pick<Job, 'keep' | 'schedule'>): {
  readonly keep: RetentionPolicy;
  readonly timezone: string;
} {
  return { keep, timezone: schedule.timezone };
}

/**
 * The backups of one source that a destination is to have and has not yet, oldest first: those that its retention would
 * keep of the good ones, and pins. What retention gave up there is not sent again, unless it is pinned. Safety backups,
 * suspicious and damaged ones are sent only where a person pinned them, damaged ones never.
 */
export function pendingCopies(
  entries: readonly CatalogEntry[],
  rules: CopyRules,
  nowMs: number,
): readonly CatalogEntry[] {
  const sendable = entries.filter((entry) => isSendable(entry));
  if (!sendable.some((entry) => isMissing(entry, rules.destination))) {
    return [];
  }
  const verdicts = decideRetention(
    sendable.map((entry) => toCandidate(entry, nowMs)),
    rules.keep,
    rules.timezone,
  );
  const kept = new Set(verdicts.filter(({ keep }) => keep).map(({ id }) => id));
  return sendable
    .filter((entry) => kept.has(entry.manifest.id) && isMissing(entry, rules.destination))
    .toSorted((one, other) => (one.manifest.id < other.manifest.id ? -1 : 1));
}

function isSendable(entry: CatalogEntry): boolean {
  return isGood(entry) || (isPinned(entry) && !isDamaged(entry));
}

function isMissing(entry: CatalogEntry, destination: string): boolean {
  const type = lastCopy(entry, destination)?.type ?? null;
  return type === null || type === 'lost' || (type === 'removed' && isPinned(entry));
}

function isCopyReceipt(receipt: Receipt): receipt is CopyReceipt {
  return receipt.type === 'uploaded' || receipt.type === 'lost' || receipt.type === 'removed';
}
