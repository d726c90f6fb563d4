import { isPinned } from '../core/catalog-entry.ts';
import { BackupdError } from '../core/errors.ts';
import type { BackupId } from '../core/layout.ts';
import type { App } from './context.ts';
import { findHere } from './find-anywhere.ts';
import { describeFailures } from './find-copy.ts';
import { pinCopies, type PinnedCopies } from './pin-copies.ts';

export interface PinRequest {
  /** An id, or a unique beginning of one. */
  readonly id: string;
  /** How long an upload or prune at a destination is waited for, where the backup is only there. */
  readonly waitMs: number;
}

/** What a pin or unpin left: whether the backup stays whatever retention says. */
export interface PinResult {
  readonly id: BackupId;
  readonly source: string;
  readonly pinned: boolean;
  /** Where the copies are that were pinned or unpinned; empty: the backup is here, and copies follow with the next upload. */
  readonly destinations: readonly string[];
}

/**
 * Keeps a backup whatever retention says; one that is pinned already stays so. One that is not here is pinned at every
 * destination that has a copy.
 * @throws BackupdError `backup-not-found`, `usage` where the id is ambiguous, `locked` where somebody is at work there or
 * the namespace there is not ours, and what a destination throws: also where it is pinned at another one by then
 */
export async function pinBackup(
  request: PinRequest,
  app: Pick<App, 'context'>,
  signal: AbortSignal,
): Promise<PinResult> {
  return setPin(request, 'pinned', app, signal);
}

/** Leaves a backup to retention again; otherwise as {@link pinBackup}. */
export async function unpinBackup(
  request: PinRequest,
  app: Pick<App, 'context'>,
  signal: AbortSignal,
): Promise<PinResult> {
  return setPin(request, 'unpinned', app, signal);
}

async function setPin(
  { id: typed, waitMs }: PinRequest,
  type: 'pinned' | 'unpinned',
  { context }: Pick<App, 'context'>,
  signal: AbortSignal,
): Promise<PinResult> {
  const pinned = type === 'pinned';
  const here = await findHere(typed, context);
  if (here.entry !== null) {
    const { entry } = here;
    if (isPinned(entry) !== pinned) {
      await context.catalog.addReceipt(entry, { type, at: new Date().toISOString() });
    }
    const { id, source } = entry.manifest;
    return { id, source, pinned, destinations: [] };
  }
  const there = await pinCopies({ typed, type, waitMs }, context, signal);
  const refused = there.failures.find(({ isThere }) => isThere);
  if (there.backup === null && refused !== undefined) {
    const { code, message, hint } = refused.failure;
    throw new BackupdError(code, message, hint === null ? {} : { hint });
  }
  if (there.backup === null) {
    const { code, message, hint, cause } = here.failure;
    const told = describeFailures(there);
    throw new BackupdError(code, message, { hint: `${hint ?? ''}${told}`, cause });
  }
  checkAll(there, type);
  return { ...there.backup, pinned, destinations: there.destinations };
}

/** A copy that nobody could be asked about may be removed by retention tonight. */
function checkAll({ destinations, failures }: PinnedCopies, type: string): void {
  const [first] = failures;
  if (first !== undefined) {
    const { code, message, hint } = first.failure;
    throw new BackupdError(
      code,
      `${type} at ${destinations.join(', ')}, and at ${first.destination} it failed: ${message}`,
      { hint: `${hint ?? ''} Run it again then.`.trim() },
    );
  }
}
