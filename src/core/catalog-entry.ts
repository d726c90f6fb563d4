import type { ManifestSummary } from './manifest.ts';

/** A fact learnt later about a backup; one file each, written once, in the order of their numbers. */
export type Receipt =
  | { readonly type: 'pinned'; readonly at: string }
  | { readonly type: 'unpinned'; readonly at: string }
  | { readonly type: 'verified'; readonly at: string; readonly depth: 'stored' | 'content' }
  | {
      readonly type: 'damaged';
      readonly at: string;
      readonly message: string;
      /** How far it was read; `content` needs the key of an encrypted one. */
      readonly depth?: 'stored' | 'content';
    }
  /** It was restored into a scratch container and compared; `integrity` as a drill reports it. */
  | {
      readonly type: 'drilled';
      readonly at: string;
      readonly ok: boolean;
      readonly integrity: number | null;
      readonly recoveryMs: number | null;
    }
  | {
      readonly type: 'uploaded';
      readonly at: string;
      readonly destination: string;
      /** All that was sent, the manifest too, as the destination shows it: what differs from it later was altered. */
      readonly files: readonly SentFile[];
    }
  /** The copy there was read back and is whole; it says nothing of what is here. */
  | {
      readonly type: 'sampled';
      readonly at: string;
      readonly destination: string;
      readonly depth: 'stored' | 'content';
    }
  /** The copy there was found missing or altered. */
  | {
      readonly type: 'lost';
      readonly at: string;
      readonly destination: string;
      readonly message: string;
    }
  /** Retention removed the copy there. */
  | { readonly type: 'removed'; readonly at: string; readonly destination: string };

/** A file of a backup as it lies at a destination. */
export interface SentFile {
  readonly name: string;
  readonly bytes: number;
  /** What the destination calls its content; changes whenever the object does. */
  readonly etag: string;
  /** Null where the destination keeps no versions. */
  readonly versionId: string | null;
}

/** A backup as the catalog knows it. */
export interface CatalogEntry {
  readonly manifest: ManifestSummary;
  readonly receipts: readonly Receipt[];
}

/** Whether a person asked to keep it: the last pin or unpin decides. */
export function isPinned(entry: Pick<CatalogEntry, 'receipts'>): boolean {
  const last = entry.receipts.findLast(
    (receipt) => receipt.type === 'pinned' || receipt.type === 'unpinned',
  );
  return last?.type === 'pinned';
}

type Look = Extract<Receipt, { readonly type: 'verified' | 'damaged' }>;

/**
 * What the last look at a backup found; null where nobody looked. That what is stored is as it was written does not
 * outweigh that its content was found damaged: without the key nobody can see that.
 */
function lastLook({ receipts }: Pick<CatalogEntry, 'receipts'>): Look | null {
  let last: Look | null = null;
  for (const receipt of receipts) {
    const isShallow = receipt.type === 'verified' && receipt.depth === 'stored';
    const isOutweighed = isShallow && last?.type === 'damaged' && last.depth === 'content';
    if ((receipt.type === 'verified' || receipt.type === 'damaged') && !isOutweighed) {
      last = receipt;
    }
  }
  return last;
}

/** When it last passed a verification; null where never, or where a later one found damage. */
export function verifiedAt(entry: CatalogEntry): string | null {
  const last = lastLook(entry);
  return last?.type === 'verified' ? last.at : null;
}

/** Whether the last look at it found damage. */
export function isDamaged(entry: CatalogEntry): boolean {
  return lastLook(entry)?.type === 'damaged';
}

/** Whether it can be `latest`: whole as far as we know, taken on purpose, and not of a source that shrank to nothing. */
export function isGood(entry: CatalogEntry): boolean {
  return entry.manifest.kind !== 'safety' && !entry.manifest.suspicious && !isDamaged(entry);
}

/** The last drill of it; null where there was none. */
export function lastDrilled({
  receipts,
}: Pick<CatalogEntry, 'receipts'>): Extract<Receipt, { readonly type: 'drilled' }> | null {
  return receipts.findLast((receipt) => receipt.type === 'drilled') ?? null;
}

/** When it last passed a drill; null where never, or where a later one failed. */
export function drilledAt(entry: Pick<CatalogEntry, 'receipts'>): string | null {
  const last = lastDrilled(entry);
  return last?.ok === true ? last.at : null;
}
