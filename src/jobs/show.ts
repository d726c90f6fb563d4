import type { Manifest, Receipt } from '../core/manifest.ts';
import type { App } from './context.ts';

/**
 * Everything that is known of one backup.
 * @param id an id, or a unique beginning of one
 * @throws BackupdError `backup-not-found`, `usage` where the id is ambiguous, `archive-corrupt`, `format-unsupported`
 */
export async function showBackup(
  id: string,
  { context: { catalog } }: Pick<App, 'context'>,
): Promise<{ readonly manifest: Manifest; readonly receipts: readonly Receipt[] }> {
  const entry = await catalog.find(id);
  const { source } = entry.manifest;
  return {
    manifest: await catalog.manifest(source, entry.manifest.id),
    receipts: entry.receipts,
  };
}
