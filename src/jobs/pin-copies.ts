import { isPinned } from '../core/catalog-entry.ts';
import { BackupdError, toFailure, type Failure } from '../core/errors.ts';
import { MANIFEST_FILE, type BackupId } from '../core/layout.ts';
import { fileKey, receiptKey } from '../core/remote-keys.ts';
import { lookAtRemote, type RemoteEntry } from '../store/remote-catalog.ts';
import { nextReceiptFile } from '../store/remote-receipts.ts';
import { reachDestination, whileLocked, type AtDestination } from './at-destination.ts';
import type { ConfiguredDestination, JobContext } from './context.ts';
import { tagCopies, wantedLifecycle } from './copy-lifecycle.ts';
import { matchTyped, sourceTyped } from './find-anywhere.ts';
import { checkOwner } from './owner.ts';

/** A pin or unpin of copies. */
export interface CopyPin {
  /** What a person typed: an id, or a beginning of one. */
  readonly typed: string;
  readonly type: 'pinned' | 'unpinned';
  /** How long an upload or prune at a destination is waited for. */
  readonly waitMs: number;
}

export interface PinnedCopies {
  /** Null: no destination has a copy of such a backup. */
  readonly backup: { readonly id: BackupId; readonly source: string } | null;
  /** Where it is pinned, or is not any more. */
  readonly destinations: readonly string[];
  /** Where it failed, and why; `isThere`: a copy was found. */
  readonly failures: readonly {
    readonly destination: string;
    readonly failure: Failure;
    readonly isThere: boolean;
  }[];
}

/**
 * Pins or unpins the copies of a backup that is not here: the receipt is put beside each of them.
 * @throws BackupdError `usage` where the id is ambiguous, or the signal's reason
 */
export async function pinCopies(
  pin: CopyPin,
  context: JobContext,
  signal: AbortSignal,
): Promise<PinnedCopies> {
  const destinations: string[] = [];
  const failures: { destination: string; failure: Failure; isThere: boolean }[] = [];
  let backup: { readonly id: BackupId; readonly source: string } | null = null;
  for (const configured of context.destinations) {
    const { name } = configured.settings;
    let entry: RemoteEntry | null = null;
    try {
      // Once it is known which one is meant, no other one is.
      const typed: string = backup === null ? pin.typed : `${backup.source}/${backup.id}`;
      entry = await findAt(configured, typed, context, signal);
      if (entry !== null) {
        await pinAt(entry, { ...pin, configured }, context, signal);
        const { id, source } = entry.manifest;
        backup = { id, source };
        destinations.push(name);
      }
    } catch (error) {
      signal.throwIfAborted();
      const failure = toFailure(error);
      if (failure.code === 'usage') {
        throw error;
      }
      failures.push({ destination: name, failure, isThere: entry !== null });
    }
  }
  return { backup, destinations, failures };
}

/** Null where there is no copy. */
async function findAt(
  configured: ConfiguredDestination,
  typed: string,
  { storage }: JobContext,
  signal: AbortSignal,
): Promise<RemoteEntry | null> {
  const destination = await configured.open();
  const { dir, namespace } = storage;
  const query = {
    destination,
    namespace,
    source: sourceTyped(typed),
    dir,
    view: 'current',
  } as const;
  return matchTyped(typed, (await lookAtRemote(query, signal)).entries);
}

async function pinAt(
  entry: RemoteEntry,
  {
    configured,
    type,
    waitMs,
  }: Pick<CopyPin, 'type' | 'waitMs'> & { readonly configured: ConfiguredDestination },
  context: JobContext,
  signal: AbortSignal,
): Promise<void> {
  await whileLocked(
    configured,
    { context, waitMs },
    async (held) => {
      const at = await reachDestination(configured, context, held);
      await checkOwner(at, held);
      await putPin(entry, type, at, held);
      if (type === 'pinned') {
        await keepTagged(entry, configured, at, held);
      }
    },
    signal,
  );
}

async function putPin(
  entry: RemoteEntry,
  type: CopyPin['type'],
  { context, destination }: AtDestination,
  signal: AbortSignal,
): Promise<void> {
  const { id, source } = entry.manifest;
  const { namespace } = context.storage;
  // It was found before the lock was ours.
  const key = fileKey({ namespace, source, id }, MANIFEST_FILE);
  if ((await destination.head(key, null, signal)) === null) {
    throw new BackupdError('backup-not-found', `${id} is not at ${destination.name} any more`, {
      hint: 'Retention removed it in this moment.',
    });
  }
  if (isPinned(entry) !== (type === 'pinned')) {
    const receipt = `${JSON.stringify({ type, at: new Date().toISOString() })}\n`;
    const file = nextReceiptFile(entry.objects, type);
    await destination.put(
      receiptKey({ namespace, source, id }, file),
      Buffer.from(receipt),
      { ifAbsent: false },
      signal,
    );
  }
}

/** One that retention had given up before is not to be deleted by the store. */
async function keepTagged(
  entry: RemoteEntry,
  { settings }: ConfiguredDestination,
  at: AtDestination,
  signal: AbortSignal,
): Promise<void> {
  const wanted = wantedLifecycle(settings);
  if (wanted !== null && wanted.expireDays !== null) {
    await tagCopies([{ entry, tag: wanted.moves.length > 0 ? 'archive' : 'none' }], at, signal);
  }
}
