import type { DestinationSettings } from '../core/destination-settings.ts';
import type { Destination, DestinationMemory } from '../core/destination.ts';

/** What a destination has to know of this host. */
export interface Here {
  /** Where the backups are. */
  readonly backupsDir: string;
  /** Of this destination. */
  readonly memory: DestinationMemory;
}

/** The destination that is configured so; nothing is sent to it yet. */
export async function openDestination(
  settings: DestinationSettings,
  { backupsDir, memory }: Here,
): Promise<Destination> {
  const { name, place } = settings;
  if (place.kind === 's3') {
    const { bucketDestination } = await import('./s3/s3.ts');
    return bucketDestination(settings, place);
  }
  const { directoryDestination } = await import('./directory/directory.ts');
  return directoryDestination(settings, { name, path: place.path, backupsDir, memory });
}
