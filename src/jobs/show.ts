import type { Manifest } from '../core/manifest.ts';
import type { Receipt } from '../core/catalog-entry.ts';
import type { App } from './context.ts';
import { findAnywhere } from './find-anywhere.ts';

/**
 * Everything that is known of one backup; of one that is not here what a destination has.
 * @param id an id, or a unique beginning of one
 * @throws BackupdError `backup-not-found`, `usage` where the id is ambiguous, `archive-corrupt`, `format-unsupported`
 */
export async function showBackup(
  id: string,
  { context }: Pick<App, 'context'>,
  signal: AbortSignal,
): Promise<{ readonly manifest: Manifest; readonly receipts: readonly Receipt[] }> {
  const { entry, copy } = await findAnywhere(id, context, signal);
  const { source } = entry.manifest;
  const manifest = copy?.manifest ?? (await context.catalog.manifest(source, entry.manifest.id));
  return { manifest, receipts: entry.receipts };
}
