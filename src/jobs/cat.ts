import type { Readable } from 'node:stream';
import { openArchive, type StoredAt } from '../archive/read-archive.ts';
import { BackupdError } from '../core/errors.ts';
import type { ArchiveFile, ManifestSummary } from '../core/manifest.ts';
import type { App } from './context.ts';
import { findAnywhere } from './find-anywhere.ts';
import { remoteFile } from './remote-file.ts';

/**
 * A file of a backup, decompressed; of one that is not here from a destination that has a copy. The stream fails with `archive-corrupt` when anything was wrong with it, also after it
 * gave bytes. The caller owns it.
 * @param id an id, or a unique beginning of one
 * @throws BackupdError `backup-not-found` for the id or the file, `usage` where the id is ambiguous
 */
export async function openBackupFile(
  id: string,
  fileName: string,
  app: Pick<App, 'context' | 'reader'>,
  signal: AbortSignal,
): Promise<Readable> {
  const { manifest, at } = await locate(id, app, signal);
  const file = manifest.files.find(({ name }) => name === fileName);
  if (file === undefined) {
    throw new BackupdError('backup-not-found', `backup ${manifest.id} has no file "${fileName}"`, {
      hint: `It has ${manifest.files.map(({ name }) => name).join(', ')}.`,
    });
  }
  const reader = await app.reader(manifest.engine, file.format);
  return openArchive(at(file), file, { reader }, signal);
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
