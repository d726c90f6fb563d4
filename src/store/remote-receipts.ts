import { isMirrored } from '../core/copies.ts';
import type { Destination, ListedVersion } from '../core/destination.ts';
import { RECEIPTS_FOLDER, type BackupId } from '../core/layout.ts';
import type { Receipt } from '../core/catalog-entry.ts';
import { parseReceipt, RECEIPT_FILE, receiptFile } from './receipts.ts';
import type { RemoteCache } from './remote-cache.ts';
import { whole, type RemoteObjects } from './remote-listing.ts';

const RECEIPTS = `${RECEIPTS_FOLDER}/`;

/** Number and type, by the name in the folder of a backup; null for what is no receipt. */
function receiptOf(name: string): { readonly number: number; readonly type: string } | null {
  const match = name.startsWith(RECEIPTS) ? RECEIPT_FILE.exec(name.slice(RECEIPTS.length)) : null;
  return match === null ? null : { number: Number(match[1]), type: match[2] ?? '' };
}

/** The name of a receipt that comes after all that are there: `0003-pinned.json`. */
export function nextReceiptFile(objects: RemoteObjects, type: Receipt['type']): string {
  const numbers = [...objects.keys()].map((name) => receiptOf(name)?.number ?? 0);
  return receiptFile(Math.max(0, ...numbers) + 1, type);
}

/**
 * The receipts of a backup there, by the names of their files: `0001-pinned.json`.
 * @throws BackupdError what the destination throws
 */
export async function readRemoteReceipts(
  destination: Destination,
  { objects }: { readonly objects: RemoteObjects },
  signal: AbortSignal,
): Promise<readonly { readonly file: string; readonly receipt: Receipt }[]> {
  const found: { readonly file: string; readonly receipt: Receipt }[] = [];
  for (const { name, version } of mirrored(objects)) {
    const receipt = await fetchReceipt(destination, version, signal);
    if (receipt !== null) {
      found.push({ file: name.slice(RECEIPTS.length), receipt });
    }
  }
  return found;
}

interface MirroredReceipt {
  readonly name: string;
  readonly number: number;
  readonly version: ListedVersion;
}

function mirrored(objects: RemoteObjects): readonly MirroredReceipt[] {
  return [...objects.keys()].flatMap((name) => {
    const named = receiptOf(name);
    const [version] = whole(objects, name);
    return named !== null && version !== undefined && isMirrored(named)
      ? [{ name, number: named.number, version }]
      : [];
  });
}

/** Null for what is gone, or none. */
async function fetchReceipt(
  destination: Destination,
  { key, versionId }: ListedVersion,
  signal: AbortSignal,
): Promise<Receipt | null> {
  const bytes = await destination.get(key, versionId, signal);
  return bytes === null ? null : parseReceipt(bytes.toString('utf8'));
}

/** The receipts of a backup there, in their order; each is fetched once ever. @throws what the destination throws */
export async function listRemoteReceipts(
  { objects, id }: { readonly objects: RemoteObjects; readonly id: BackupId },
  { destination, cache }: { readonly destination: Destination; readonly cache: RemoteCache },
  signal: AbortSignal,
): Promise<readonly Receipt[]> {
  const found: { readonly number: number; readonly receipt: Receipt }[] = [];
  for (const { name, number, version } of mirrored(objects)) {
    const object = { name: `${id}/${name}`, version };
    let known = cache.get(object) as Receipt | { readonly type: null } | null;
    if (known === null) {
      // That it is none need not be found out again.
      known = (await fetchReceipt(destination, version, signal)) ?? { type: null };
      await cache.add(object, known);
    }
    if (known.type !== null) {
      found.push({ number, receipt: known });
    }
  }
  // Two hosts may have used one number.
  return found
    .toSorted(
      (one, other) => one.number - other.number || (one.receipt.at < other.receipt.at ? -1 : 1),
    )
    .map(({ receipt }) => receipt);
}
