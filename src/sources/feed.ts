import type { Readable } from 'node:stream';
import { BackupdError } from '../core/errors.ts';
import type { ArchiveFile } from '../core/manifest.ts';
import type { RestorePlan } from '../core/restorer.ts';

/** A file of a backup on its way to the tool that loads it. It flows when somebody reads it, and not before. */
export interface ArchiveFeed {
  readonly stream: Readable;
  /** How many plain bytes those that came hold, or some more; null: they are plain themselves. */
  readonly plainBytes: (() => number) | null;
}

/** @param isCompressed whether the target decodes by itself: what goes through Docker is what a restore takes longest with */
export function openFeed(
  plan: RestorePlan,
  file: ArchiveFile,
  { isCompressed }: { readonly isCompressed: boolean },
  signal: AbortSignal,
): ArchiveFeed {
  const compressed = isCompressed ? plan.openZstd(file, signal) : null;
  return compressed ?? { stream: plan.open(file, signal), plainBytes: null };
}

/** The file of a backup that holds a database. */
export function archiveOf({ manifest }: RestorePlan, database: string): ArchiveFile {
  const file = manifest.files.find((candidate) => candidate.database === database);
  if (file === undefined) {
    throw new BackupdError(
      'backup-not-found',
      `backup ${manifest.id} has no archive of database "${database}"`,
    );
  }
  return file;
}
