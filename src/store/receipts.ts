import { readdir, rename, rm, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BackupdError } from '../core/errors.ts';
import { RECEIPTS_FOLDER } from '../core/layout.ts';
import type { Receipt } from '../core/catalog-entry.ts';
import { hasErrorCode } from '../core/system-error.ts';
import { syncFolder } from '../files/sync-folder.ts';
import { createFile, ensureFolder, readJson } from './atomic-file.ts';
import { readNames } from './folder.ts';
import { onStorage } from './storage-error.ts';

/** `0001-pinned.json`; a number is also taken by one that is just being written: `0001.partial`. */
export const RECEIPT_FILE = /^(\d+)-([a-z-]+)\.json$/;
const TAKEN = /^(\d+)(?:-[a-z-]+\.json|\.partial)$/;

export function receiptFile(number: number, type: Receipt['type']): string {
  return `${digitsOf(number)}-${type}.json`;
}

function digitsOf(number: number): string {
  return String(number).padStart(4, '0');
}

export function receiptsFolder(backup: string): string {
  return join(backup, RECEIPTS_FOLDER);
}

/**
 * Writes a receipt of the backup in this folder under the next free number. Processes that do so at once get numbers of
 * their own: the number is taken by creating its draft exclusively, and found to be free still once it is ours.
 * @throws BackupdError `backup-not-found` where the backup is gone, `no-space`, `storage-unavailable`
 */
export async function writeReceipt(backup: string, receipt: Receipt): Promise<void> {
  const folder = receiptsFolder(backup);
  await onStorage(folder, async () => {
    try {
      await ensureFolder(folder);
      await takeNumber(folder, receipt);
      await syncFolder(folder);
      await markChanged(dirname(backup));
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) {
        throw new BackupdError('backup-not-found', `there is no backup in ${backup} any more`, {
          cause: error,
        });
      }
      throw error;
    }
  });
}

/**
 * Gives the folder of a source a new time, by which everybody who remembers its backups sees that one of them got a
 * receipt. Where the folder is of another user they see it later.
 */
async function markChanged(source: string): Promise<void> {
  const now = new Date();
  try {
    await utimes(source, now, now);
  } catch (error) {
    if (!hasErrorCode(error, 'EPERM', 'EACCES')) {
      throw error;
    }
  }
}

async function takeNumber(folder: string, receipt: Receipt): Promise<void> {
  for (;;) {
    const number = Math.max(0, ...(await readdir(folder)).map(takenNumber)) + 1;
    if (await tryNumber(folder, number, receipt)) {
      return;
    }
  }
}

/** @returns false where another process has this number */
async function tryNumber(folder: string, number: number, receipt: Receipt): Promise<boolean> {
  const draft = join(folder, `${digitsOf(number)}.partial`);
  try {
    await createFile(draft, `${JSON.stringify(receipt)}\n`);
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) {
      return false;
    }
    await rm(draft, { force: true });
    throw error;
  }
  // Whoever had it between our look and our draft has given it its name by now.
  const isTaken = (await readdir(folder)).some(
    (file) => RECEIPT_FILE.test(file) && takenNumber(file) === number,
  );
  if (isTaken) {
    await rm(draft);
    return false;
  }
  await rename(draft, join(folder, receiptFile(number, receipt.type)));
  return true;
}

function takenNumber(file: string): number {
  return Number(TAKEN.exec(file)?.[1] ?? 0);
}

/** What was read of a backup's receipts; `damaged` names the files that are none. */
export interface Receipts {
  /** In the order of their numbers. */
  readonly receipts: readonly Receipt[];
  readonly damaged: readonly string[];
}

/** The receipts of the backup in this folder. Types that only a newer backupd knows come along as they are. */
export async function readReceipts(backup: string): Promise<Receipts> {
  const read = await readAll(receiptsFolder(backup));
  return {
    receipts: read.flatMap(([, receipt]) => receipt ?? []),
    damaged: read.flatMap(([file, receipt]) => (receipt === null ? [file] : [])),
  };
}

/** Receipts by the names of their files, in the order of their numbers; damaged ones are left out. */
export async function readReceiptFiles(
  backup: string,
): Promise<readonly (readonly [file: string, receipt: Receipt])[]> {
  return (await readAll(receiptsFolder(backup))).flatMap(([file, receipt]) =>
    receipt === null ? [] : [[file, receipt] as const],
  );
}

/** Null for a file that is none. */
async function readAll(
  folder: string,
): Promise<readonly (readonly [file: string, receipt: Receipt | null])[]> {
  const files = (await readNames(folder)).filter((file) => RECEIPT_FILE.test(file));
  const read: [string, Receipt | null][] = [];
  for (const file of files.toSorted((one, other) => takenNumber(one) - takenNumber(other))) {
    const stored = await readJson(join(folder, file));
    read.push([file, stored.state === 'present' && isReceipt(stored.value) ? stored.value : null]);
  }
  return read;
}

function isReceipt(value: unknown): value is Receipt {
  const receipt = (value ?? {}) as Partial<Receipt>;
  const { type, at } = receipt;
  return (
    typeof type === 'string' &&
    typeof at === 'string' &&
    !Number.isNaN(Date.parse(at)) &&
    isCopyWhole(receipt)
  );
}

/** What is said of copies is of use only where it says of which. */
function isCopyWhole(receipt: Partial<Receipt>): boolean {
  if (receipt.type === 'uploaded') {
    return typeof receipt.destination === 'string' && Array.isArray(receipt.files);
  }
  return (
    (receipt.type !== 'lost' && receipt.type !== 'removed' && receipt.type !== 'sampled') ||
    typeof receipt.destination === 'string'
  );
}

/** A receipt by its text; null for what is none. */
export function parseReceipt(text: string): Receipt | null {
  try {
    const value: unknown = JSON.parse(text);
    return isReceipt(value) ? value : null;
  } catch {
    return null;
  }
}
