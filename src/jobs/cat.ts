import type { Readable } from 'node:stream';
import { openArchive } from '../archive/read-archive.ts';
import { BackupdError } from '../core/errors.ts';
import type { App } from './context.ts';

/**
 * A file of a backup, decompressed. The stream fails with `archive-corrupt` when anything was wrong with it, also after it
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
  const { catalog } = app.context;
  const { manifest } = await catalog.find(id);
  const file = manifest.files.find(({ name }) => name === fileName);
  if (file === undefined) {
    throw new BackupdError('backup-not-found', `backup ${manifest.id} has no file "${fileName}"`, {
      hint: `It has ${manifest.files.map(({ name }) => name).join(', ')}.`,
    });
  }
  const reader = await app.reader(manifest.engine, file.format);
  return openArchive(catalog.path(manifest, file.name), file, { reader }, signal);
}
