import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { checkStored, openArchive, type StoredAt } from '../archive/read-archive.ts';
import { BackupdError } from '../core/errors.ts';
import type { ArchiveFile, ManifestSummary } from '../core/manifest.ts';
import type { App } from './context.ts';
import { findAnywhere } from './find-anywhere.ts';
import { remoteFile } from './remote-file.ts';

/** What is to be written where. */
export interface CopyRequest {
  /** An id, or a unique beginning of one. */
  readonly id: string;
  readonly file: string;
  /** It is not ended. */
  readonly to: Writable;
}

/**
 * Writes a file of a backup, decrypted and decompressed; of one that is not here from a destination that has a copy. Fails
 * when anything was wrong with it, also after bytes were written; those of an encrypted one are authentic all the same.
 * @throws BackupdError `backup-not-found` for the id or the file, `usage` where the id is ambiguous, `key-missing`,
 *   `key-wrong`, `archive-corrupt`, `format-unsupported`; what writing and the destination fail with
 */
export async function copyBackupFile(
  { id, file: fileName, to }: CopyRequest,
  app: Pick<App, 'context' | 'reader'>,
  signal: AbortSignal,
): Promise<void> {
  const { manifest, at } = await locate(id, app, signal);
  const file = manifest.files.find(({ name }) => name === fileName);
  if (file === undefined) {
    throw new BackupdError('backup-not-found', `backup ${manifest.id} has no file "${fileName}"`, {
      hint: `It has ${manifest.files.map(({ name }) => name).join(', ')}.`,
    });
  }
  await using ring = app.context.keys.ring();
  const decrypt = await ring.open(manifest, signal);
  const reader = await app.reader(manifest.engine, file.format);
  if (manifest.encryption.scheme === 'gpg') {
    // gpg finds out at the end of a file whether it is authentic, and gives its bytes before that.
    await checkStored(at(file), file, signal);
  }
  const plain = openArchive(at(file), file, { decrypt, reader }, signal);
  await pipeline(plain, to, { end: false, signal });
}

interface Located {
  readonly manifest: ManifestSummary;
  readonly at: (file: ArchiveFile) => StoredAt;
}

async function locate(
  id: string,
  { context }: Pick<App, 'context'>,
  signal: AbortSignal,
): Promise<Located> {
  const found = await findAnywhere(id, context, signal);
  const { manifest } = found.entry;
  if (found.copy === null) {
    return { manifest, at: (file) => context.catalog.path(manifest, file.name) };
  }
  const { destination, entry } = found.copy;
  return { manifest, at: (file) => remoteFile({ destination, entry, file }, signal) };
}
