import { CLOCKS_APART_MS, describeClocks } from '../core/clocks.ts';
import type { Destination, PlaceFacts } from '../core/destination.ts';
import { acquireDestinationLock } from '../store/lock.ts';
import { changeUploadRecord } from '../store/upload-record.ts';
import type { ConfiguredDestination, JobContext } from './context.ts';

/** Work at one destination. */
export interface AtDestination {
  readonly context: JobContext;
  readonly destination: Destination;
  readonly facts: PlaceFacts;
}

/** Opens a destination and asks what kind of place it is. @throws BackupdError what the destination throws */
export async function reachDestination(
  configured: ConfiguredDestination,
  context: JobContext,
  signal: AbortSignal,
): Promise<AtDestination> {
  const destination = await configured.open();
  return { context, destination, facts: await destination.inspect(signal) };
}

/**
 * Does work at a destination under its lock, so that nobody sends there while somebody else removes.
 * @throws BackupdError `locked`, and what the work does
 */
export async function whileLocked<T>(
  { settings }: ConfiguredDestination,
  { context, waitMs }: { readonly context: JobContext; readonly waitMs: number },
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { storage, command } = context;
  const request = { command, waitMs };
  await using lock = await acquireDestinationLock(storage.dir, settings.name, request, signal);
  return await work(AbortSignal.any([signal, lock.lost]));
}

/** Remembers what kind of place it is for those who ask no network. */
export async function recordPlace({ context, destination, facts }: AtDestination): Promise<void> {
  const { name, place } = destination;
  await changeUploadRecord(context.storage.dir, name, (record) => ({ ...record, place, facts }));
}

/** A store that refuses what is dated wrongly is asked again with its own date, so nothing else would show it. */
export function tellOfClocks({ context, destination, facts }: AtDestination): void {
  const aheadMs = facts.clockAheadMs ?? 0;
  if (Math.abs(aheadMs) > CLOCKS_APART_MS) {
    const message = describeClocks(aheadMs, Date.now());
    context.emit({ type: 'clocks-apart', source: null, destination: destination.name, message });
  }
}
