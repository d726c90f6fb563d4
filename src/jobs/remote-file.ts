import { Readable } from 'node:stream';
import type { StoredAt } from '../archive/read-archive.ts';
import type { Destination } from '../core/destination.ts';
import { BackupdError } from '../core/errors.ts';
import type { ArchiveFile } from '../core/manifest.ts';
import { versionsOf, type RemoteEntry } from '../store/remote-catalog.ts';
import { readRange } from '../store/remote-read.ts';

export interface RemoteFile {
  readonly destination: Destination;
  readonly entry: RemoteEntry;
  readonly file: ArchiveFile;
}

/** A file of a copy, to be read from there. @throws BackupdError `archive-corrupt` where it is not there */
export function remoteFile(
  { destination, entry, file }: RemoteFile,
  signal: AbortSignal,
): StoredAt {
  const { id } = entry.manifest;
  const [object] = versionsOf(entry, file);
  if (object === undefined) {
    throw new BackupdError('archive-corrupt', `${id} at ${destination.name}: ${entry.flaw}`);
  }
  const range = { from: 0, bytes: file.storedBytes };
  return {
    name: `${destination.name}:${id}/${file.name}`,
    open: () =>
      Readable.from(readRange({ destination, object }, range, signal), { objectMode: false }),
  };
}
