import type { Destination } from '../core/destination.ts';
import { toFailure, type Failure } from '../core/errors.ts';
import type { BackupId } from '../core/layout.ts';
import type { Manifest, Warning } from '../core/manifest.ts';
import {
  lookAtRemote,
  readRemoteManifest,
  type RemoteEntry,
  type RemoteLook,
} from '../store/remote-catalog.ts';
import type { JobContext } from './context.ts';

/** A copy of a backup that can be fetched. */
export interface Copy {
  readonly destination: Destination;
  readonly entry: RemoteEntry;
  readonly manifest: Manifest;
}

type Context = Pick<JobContext, 'storage' | 'destinations' | 'catalog'>;

/** What a destination holds of the namespace here; deleted and overwritten backups too, where it keeps versions. */
export async function lookAt(
  destination: Destination,
  source: string | null,
  { storage }: Pick<JobContext, 'storage'>,
  signal: AbortSignal,
): Promise<RemoteLook> {
  const { dir, namespace } = storage;
  return lookAtRemote({ destination, namespace, source, dir, view: 'recoverable' }, signal);
}

/** What was found in one destination after the other. */
export interface Search {
  readonly copy: Copy | null;
  /** Why a destination could not be asked, by its name. */
  readonly failures: readonly { readonly destination: string; readonly failure: Failure }[];
}

/**
 * Looks for a copy in all destinations, in their order. One that cannot be asked does not keep the others from it.
 * @param choose among the backups that are whole there, newest first; null: none is wanted
 * @throws the signal's reason, and what `choose` throws
 */
export async function searchCopies(
  source: string | null,
  choose: (entries: readonly RemoteEntry[], look: RemoteLook) => RemoteEntry | null,
  context: Context,
  signal: AbortSignal,
): Promise<Search> {
  const failures: { destination: string; failure: Failure }[] = [];

  async function attempt<T>(destination: string, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      failures.push({ destination, failure: toFailure(error) });
      return null;
    }
  }

  for (const configured of context.destinations) {
    const { name } = configured.settings;
    const looked = await attempt(name, async () => {
      const destination = await configured.open();
      return { destination, look: await lookAt(destination, source, context, signal) };
    });
    const whole = looked?.look.entries.filter(({ flaw }) => flaw === null) ?? [];
    const entry = looked === null ? null : choose(whole, looked.look);
    if (looked !== null && entry !== null) {
      const copy = await attempt(name, () => openCopy(looked.destination, entry, context, signal));
      if (copy !== null) {
        return { copy, failures };
      }
    }
  }
  return { copy: null, failures };
}

/** A copy of this very backup, wherever there is a whole one. */
export async function findCopyOf(
  { source, id }: { readonly source: string; readonly id: BackupId },
  context: Context,
  signal: AbortSignal,
): Promise<Copy | null> {
  const { copy } = await searchCopies(
    source,
    (entries) => entries.find(({ manifest }) => manifest.id === id) ?? null,
    context,
    signal,
  );
  return copy;
}

/** Reads the manifest; where the one here can be used, that one counts. @throws BackupdError */
export async function openCopy(
  destination: Destination,
  entry: RemoteEntry,
  { catalog }: Context,
  signal: AbortSignal,
): Promise<Copy> {
  const { source, id } = entry.manifest;
  let manifest: Manifest;
  try {
    manifest = await catalog.manifest(source, id);
  } catch (error) {
    const { code } = toFailure(error);
    if (code !== 'backup-not-found' && code !== 'archive-corrupt') {
      throw error;
    }
    manifest = await readRemoteManifest(destination, entry, signal);
  }
  return { destination, entry, manifest };
}

/** ` s3 could not be asked: ...`; empty where all were. */
export function describeFailures({ failures }: Pick<Search, 'failures'>): string {
  return failures
    .map(({ destination, failure }) => ` ${destination} could not be asked: ${failure.message}.`)
    .join('');
}

/** What whoever takes what was found for all that is there has to know. */
export function lookWarnings(
  { isPartial }: RemoteLook,
  { name }: Pick<Destination, 'name'>,
): readonly Warning[] {
  return isPartial
    ? [
        {
          code: 'earlier-unseen',
          message: `what was deleted or overwritten at ${name} was not looked for: s3:GetBucketVersioning is denied to the key that backupd has`,
        },
      ]
    : [];
}

/** What whoever restores a copy has to know. */
export function copyWarnings({ entry, destination }: Copy): readonly Warning[] {
  return entry.isHidden
    ? [
        {
          code: 'earlier-version',
          message: `at ${destination.name} some of it was deleted or overwritten: what was there before is taken`,
        },
      ]
    : [];
}
