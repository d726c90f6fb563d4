import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { checkStored, openArchive } from '../archive/read-archive.ts';
import { BackupdError } from '../core/errors.ts';
import type { App } from './context.ts';

/** What is to be written where. */
export interface CopyRequest {
  /** An id, or a unique beginning of one. */
  readonly id: string;
  readonly file: string;
  /** It is not ended. */
  readonly to: Writable;
}

/**
 * Writes a file of a backup, decrypted and decompressed. Fails when anything was wrong with it, also after bytes were
 * written; those of an encrypted one are authentic all the same.
 * @throws BackupdError `backup-not-found` for the id or the file, `usage` where the id is ambiguous, `key-missing`,
 *   `key-wrong`, `archive-corrupt`, `format-unsupported`; what writing fails with
 */
export async function copyBackupFile(
  { id, file: fileName, to }: CopyRequest,
  app: Pick<App, 'context' | 'reader'>,
  signal: AbortSignal,
): Promise<void> {
  const { catalog, keys } = app.context;
  const { manifest } = await catalog.find(id);
  const file = manifest.files.find(({ name }) => name === fileName);
  if (file === undefined) {
    throw new BackupdError('backup-not-found', `backup ${manifest.id} has no file "${fileName}"`, {
      hint: `It has ${manifest.files.map(({ name }) => name).join(', ')}.`,
    });
  }
  await using ring = keys.ring();
  const decrypt = await ring.open(manifest, signal);
  const reader = await app.reader(manifest.engine, file.format);
  const path = catalog.path(manifest, file.name);
  if (manifest.encryption.scheme === 'gpg') {
    // gpg finds out at the end of a file whether it is authentic, and gives its bytes before that.
    await checkStored(path, file, signal);
  }
  const plain = openArchive(path, file, { decrypt, reader }, signal);
  await pipeline(plain, to, { end: false, signal });
}
