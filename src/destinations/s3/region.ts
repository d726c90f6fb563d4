import type { Bucket } from './bucket.ts';
import { isNoAnswer, storeStatus } from './failures.ts';

/** What the first region of AWS, and an old one, are called where a bucket says where it is. */
const OLD_NAMES: Readonly<Record<string, string>> = { EU: 'eu-west-1' };
const UNNAMED = 'us-east-1';

/** Where the bucket really is, as the store says; null where it says nothing. @throws BackupdError */
export async function bucketRegion(bucket: Bucket, signal: AbortSignal): Promise<string | null> {
  return (await askLocation(bucket, signal)) ?? askHead(bucket, signal);
}

async function askLocation(bucket: Bucket, signal: AbortSignal): Promise<string | null> {
  const command = new bucket.sdk.GetBucketLocationCommand({ Bucket: bucket.place.bucket });
  try {
    const { LocationConstraint } = await bucket.ask(
      { action: 's3:GetBucketLocation', key: null },
      signal,
      async (options) => bucket.client.send(command, options),
    );
    const said: string = LocationConstraint ?? '';
    if (said === '') {
      // On AWS that is a name, elsewhere it is none.
      return bucket.isAws ? UNNAMED : null;
    }
    return OLD_NAMES[said] ?? said;
  } catch (error) {
    if (isNoAnswer(error)) {
      return null;
    }
    throw error;
  }
}

/** The header tells it also to who may not ask for the location. */
async function askHead(bucket: Bucket, signal: AbortSignal): Promise<string | null> {
  const command = new bucket.sdk.HeadBucketCommand({ Bucket: bucket.place.bucket });
  try {
    const { BucketRegion } = await bucket.ask(
      { action: 's3:ListBucket', key: null },
      signal,
      async (options) => bucket.client.send(command, options),
    );
    return BucketRegion === undefined || BucketRegion === '' ? null : BucketRegion;
  } catch (error) {
    // Who may ask at all was told before, where an answer has words.
    if (isNoAnswer(error) || storeStatus(error) === 403) {
      return null;
    }
    throw error;
  }
}
