import type { ByteRange, Destination, ListedVersion } from '../core/destination.ts';
import { toFailure } from '../core/errors.ts';

/** One version of an object. */
export type RemoteObject = Pick<ListedVersion, 'key' | 'versionId' | 'etag'>;

/** A connection that gave less than this before it broke is not worth another one. */
const WORTH_BYTES = 64 * 1024;

/**
 * The bytes of a range of an object. A body that breaks off in its midst is gone on with from there, as long as each
 * connection brings it further: a large object takes longer than most connections live.
 * @throws BackupdError as `Destination.read`
 */
export async function* readRange(
  { destination, object }: { readonly destination: Destination; readonly object: RemoteObject },
  range: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let doneBytes = 0;
  do {
    const beforeBytes = doneBytes;
    const rest = { from: range.from + doneBytes, bytes: range.bytes - doneBytes };
    const body = await destination.read(object, rest, signal);
    try {
      for await (const bytes of body) {
        doneBytes += (bytes as Buffer).length;
        yield bytes as Buffer;
      }
      return;
    } catch (error) {
      signal.throwIfAborted();
      const isBroken = toFailure(error).code === 'destination-unavailable';
      if (!isBroken || doneBytes - beforeBytes < WORTH_BYTES) {
        throw error;
      }
    }
  } while (doneBytes < range.bytes);
}
