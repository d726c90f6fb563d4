import { createHash } from 'node:crypto';
import { BackupdError } from '../core/errors.ts';

/** Compares a whole object with the SHA-256 that it was put with, where that is known. @throws BackupdError `archive-corrupt` */
export function checkWhole(
  destination: string,
  { key, sha256 }: { readonly key: string; readonly sha256: string | null },
  bytes: Buffer,
): void {
  if (sha256 !== null && createHash('sha256').update(bytes).digest('hex') !== sha256) {
    throw new BackupdError(
      'archive-corrupt',
      `destination "${destination}": ${key} is damaged: its bytes are not those that were put`,
      { hint: 'Something changed it there, or on the way. Take another copy of this backup.' },
    );
  }
}
