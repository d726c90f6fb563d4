import type { BackupId } from '../core/layout.ts';
import { isPinned } from '../core/catalog-entry.ts';
import type { App } from './context.ts';

/** What a pin or unpin left: whether the backup stays whatever retention says. */
export interface PinResult {
  readonly id: BackupId;
  readonly source: string;
  readonly pinned: boolean;
}

/**
 * Keeps a backup whatever retention says; one that is pinned already stays so.
 * @throws BackupdError `backup-not-found`, `usage` where the id is ambiguous
 */
export async function pinBackup(id: string, app: Pick<App, 'context'>): Promise<PinResult> {
  return setPin(id, 'pinned', app);
}

/** Leaves a backup to retention again; otherwise as {@link pinBackup}. */
export async function unpinBackup(id: string, app: Pick<App, 'context'>): Promise<PinResult> {
  return setPin(id, 'unpinned', app);
}

async function setPin(
  typed: string,
  type: 'pinned' | 'unpinned',
  { context }: Pick<App, 'context'>,
): Promise<PinResult> {
  const entry = await context.catalog.find(typed);
  const pinned = type === 'pinned';
  if (isPinned(entry) !== pinned) {
    await context.catalog.addReceipt(entry, { type, at: new Date().toISOString() });
  }
  return { id: entry.manifest.id, source: entry.manifest.source, pinned };
}
