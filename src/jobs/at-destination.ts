import type { Destination, PlaceFacts } from '../core/destination.ts';
import { acquireDestinationLock } from '../store/lock.ts';
import { changeUploadRecord } from '../store/upload-record.ts';
import type { ConfiguredDestination, JobContext } from './context.ts';

/** Work at one destination. */
export interface AtDestination {
  readonly context: JobContext;
  readonly destination: Destination;
}

/** As {@link AtDestination}, by who holds its lock. */
export interface LockedDestination extends AtDestination {
  readonly facts: PlaceFacts;
}

/**
 * Works at a destination under its lock, so that nobody sends to it while somebody else removes there. What kind of place
 * it is now is remembered for those who ask no network.
 * @throws BackupdError `locked`, `destination-unavailable`, `destination-denied`, `config-invalid`, and what the work does
 */
export async function lockDestination<T>(
  configured: ConfiguredDestination,
  { context, waitMs }: { readonly context: JobContext; readonly waitMs: number },
  work: (at: LockedDestination, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { storage, command } = context;
  const { name } = configured.settings;
  await using lock = await acquireDestinationLock(storage.dir, name, { command, waitMs }, signal);
  const whileHeld = AbortSignal.any([signal, lock.lost]);
  const destination = await configured.open();
  const facts = await destination.inspect(whileHeld);
  const { place } = destination;
  await changeUploadRecord(storage.dir, name, (record) => ({ ...record, place, facts }));
  return await work({ context, destination, facts }, whileHeld);
}
