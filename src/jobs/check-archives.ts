import { checkStored } from '../archive/read-archive.ts';
import { toFailure } from '../core/errors.ts';
import type { ArchiveFile } from '../core/manifest.ts';
import { bringBack } from './bring-back.ts';
import type { JobContext } from './context.ts';
import { fetchBackup } from './fetch-backup.ts';
import { findCopyOf } from './find-copy.ts';
import type { RestoreDecision } from './plan-restore.ts';

/**
 * Every file that the restore reads, before anything is changed. A damaged one is written down, so that `latest` means
 * another backup, and mended from a copy where there is one.
 */
export async function checkArchives(
  decision: RestoreDecision,
  context: JobContext,
  signal: AbortSignal,
): Promise<void> {
  try {
    await readArchives(decision, context, signal);
  } catch (error) {
    const { code, message } = toFailure(error);
    if (code !== 'archive-corrupt') {
      throw error;
    }
    const at = new Date().toISOString();
    const receipt = { type: 'damaged', at, depth: 'stored', message } as const;
    // That it is damaged counts more than that this could not be written down.
    await context.catalog.addReceipt({ manifest: decision.manifest }, receipt).catch(() => null);
    const copy = await findCopyOf(decision.manifest, context, signal);
    if (copy === null) {
      throw error;
    }
    const { source, id } = decision;
    const destination = copy.destination.name;
    context.emit({ type: 'copy-taken', source, id, destination, why: message });
    await bringBack(copy, { tier: decision.tier, waitMs: 0 }, context, signal);
    await fetchBackup(copy, context, signal);
  }
}

async function readArchives(
  decision: RestoreDecision,
  { catalog, emit }: JobContext,
  signal: AbortSignal,
): Promise<void> {
  for (const file of neededFiles(decision)) {
    emit({
      type: 'restore-progress',
      source: decision.source,
      stage: 'check',
      database: file.database ?? file.name,
      bytes: null,
      totalBytes: file.storedBytes,
    });
    await checkStored(catalog.path(decision.manifest, file.name), file, signal);
  }
}

function neededFiles(decision: RestoreDecision): readonly ArchiveFile[] {
  return decision.manifest.files.filter(
    (file) =>
      file.database === null || decision.databases.some(({ name }) => name === file.database),
  );
}
