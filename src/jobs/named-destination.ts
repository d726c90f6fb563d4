import { S3 } from '../core/destination-settings.ts';
import type { Destination } from '../core/destination.ts';
import { BackupdError } from '../core/errors.ts';
import type { ConfiguredDestination } from './context.ts';

/**
 * The destination of this name.
 * @throws BackupdError `config-invalid` where none is configured, `usage` where only others are
 */
export async function namedDestination(
  name: string,
  destinations: readonly ConfiguredDestination[],
): Promise<Destination> {
  return findConfigured(name, destinations).open();
}

/** The same, not opened yet. */
export function findConfigured(
  name: string,
  destinations: readonly ConfiguredDestination[],
): ConfiguredDestination {
  const found = destinations.find(({ settings }) => settings.name === name);
  if (found !== undefined) {
    return found;
  }
  const names = destinations.map(({ settings }) => settings.name);
  if (names.length === 0) {
    throw new BackupdError('config-invalid', `the destination "${name}" is not configured`, {
      hint:
        name === S3
          ? 'Set BACKUPD_S3_BUCKET, and what else it takes to reach it: with "docker run" as -e BACKUPD_S3_BUCKET=....'
          : `Name it in BACKUPD_DESTINATIONS, and say in BACKUPD_DEST_<NAME>_BUCKET or _PATH where it is.`,
    });
  }
  throw new BackupdError('usage', `there is no destination "${name}"`, {
    hint: `There are: ${names.join(', ')}.`,
  });
}
