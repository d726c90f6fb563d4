import { BackupdError } from '../core/errors.ts';
import type { BackupId } from '../core/layout.ts';
import type { Warning } from '../core/manifest.ts';
import { findRemoteSources, type RemoteEntry } from '../store/remote-catalog.ts';
import type { App } from './context.ts';
import { lookAt, lookWarnings } from './find-copy.ts';
import { namedDestination } from './named-destination.ts';

/** What a destination holds. */
export interface RemoteList {
  /** Backups that are whole there, newest first. */
  readonly copies: readonly RemoteEntry[];
  /** What is named as a backup there and is none. */
  readonly unusable: readonly { readonly id: BackupId; readonly why: string }[];
  /** What keeps it from being all that can be had there. */
  readonly warnings: readonly Warning[];
}

/**
 * The backups that a destination holds of the namespace here.
 * @throws BackupdError `source-not-found`, what the destination throws
 */
export async function listRemote(
  { source, from }: { readonly source: string | null; readonly from: string },
  { context }: Pick<App, 'context'>,
  signal: AbortSignal,
): Promise<RemoteList> {
  const destination = await namedDestination(from, context.destinations);
  const look = await lookAt(destination, source, context, signal);
  const { sources, entries, unreadable } = look;
  if (source !== null && sources.length === 0) {
    const all = await findRemoteSources(destination, context.storage.namespace, signal);
    throw new BackupdError('source-not-found', `${from} has no backups of a source "${source}"`, {
      hint: all.length === 0 ? 'It has none at all.' : `There are: ${all.join(', ')}.`,
    });
  }
  return {
    // Ids sort by time.
    copies: entries
      .filter(({ flaw }) => flaw === null)
      .toSorted((one, other) => (one.manifest.id < other.manifest.id ? 1 : -1)),
    unusable: [
      ...entries.flatMap(({ manifest, flaw }) =>
        flaw === null ? [] : [{ id: manifest.id, why: flaw }],
      ),
      ...unreadable.map(({ id, error }) => ({ id, why: error.message })),
    ],
    warnings: lookWarnings(look, destination),
  };
}
