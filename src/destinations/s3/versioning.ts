import type { Bucket } from './bucket.ts';
import { isNoAnswer, isUnsupported } from './failures.ts';

/** Whether what is replaced or deleted stays behind as a version; null where it may not be asked. */
export async function versioning(bucket: Bucket, signal: AbortSignal): Promise<boolean | null> {
  const command = new bucket.sdk.GetBucketVersioningCommand({ Bucket: bucket.place.bucket });
  try {
    const { Status } = await bucket.ask(
      { action: 's3:GetBucketVersioning', key: null },
      signal,
      async (options) => bucket.client.send(command, options),
    );
    // Suspended: what was there before stays, and deleting hides it.
    return Status !== undefined;
  } catch (error) {
    if (isUnsupported(error)) {
      return false;
    }
    if (isNoAnswer(error)) {
      return null;
    }
    throw error;
  }
}
