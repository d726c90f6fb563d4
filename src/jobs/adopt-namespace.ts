import type { Destination } from '../core/destination.ts';
import { BackupdError } from '../core/errors.ts';
import { findNamespaces } from '../store/remote-catalog.ts';
import type { ConfiguredDestination } from './context.ts';

/**
 * The namespace that a directory without any takes over from the destination that it is filled from: the only one there,
 * or else the one that it would have anyway.
 * @param own null: nothing says which that is
 * @throws BackupdError `config-invalid` naming them where there are several, `backup-not-found` where there is none
 */
export async function adoptNamespace(
  destination: Destination,
  own: string | null,
  signal: AbortSignal,
): Promise<string> {
  const found = await findNamespaces(destination, signal);
  const [only, another] = found;
  if (only === undefined) {
    throw new BackupdError('backup-not-found', `${destination.place} holds no backups`, {
      hint: 'Look at the bucket, the prefix and the endpoint: backups are below <prefix>/<namespace>/<source>/.',
    });
  }
  if (another === undefined) {
    return only;
  }
  if (own !== null && found.includes(own)) {
    return own;
  }
  throw new BackupdError(
    'config-invalid',
    `${destination.place} holds backups of ${found.length} namespaces: ${found.join(', ')}`,
    { hint: `Say which one is meant: set BACKUPD_NAMESPACE, for example to ${only}.` },
  );
}

/**
 * The same, from the first destination that holds backups.
 * @returns null: none does, or none could be asked, which whoever looks for a backup there finds as well
 * @throws BackupdError `config-invalid` naming the namespaces where there are several
 */
export async function adoptFromAny(
  destinations: readonly ConfiguredDestination[],
  own: string | null,
  signal: AbortSignal,
): Promise<string | null> {
  for (const configured of destinations) {
    try {
      return await adoptNamespace(await configured.open(), own, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BackupdError) || error.code === 'config-invalid') {
        throw error;
      }
    }
  }
  return null;
}
