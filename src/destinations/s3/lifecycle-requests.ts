import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { TransitionDefaultMinimumObjectSize } from '@aws-sdk/client-s3';
import { BackupdError } from '../../core/errors.ts';
import type { Bucket } from './bucket.ts';
import { storeCode } from './failures.ts';

/** The rules of a bucket as the store has them. */
export interface StoredRules {
  /** To the byte: what the SDK does not know it would drop. Null: there are none. */
  readonly xml: string | null;
  /** From which size on objects are moved, which belongs to the rules on AWS; null: the store says nothing of that. */
  readonly smallest: string | null;
}

/** No store has so many rules. */
const LARGEST_BYTES = 4 * 1024 * 1024;

/** Reads the rules. @throws BackupdError */
export async function getRules(bucket: Bucket, signal: AbortSignal): Promise<StoredRules> {
  const command = new bucket.sdk.GetBucketLifecycleConfigurationCommand({
    Bucket: bucket.place.bucket,
  });
  let xml = '';
  command.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as { body: unknown };
      const bytes = await bytesOf(response.body);
      xml = bytes.toString('utf8');
      response.body = Readable.from([bytes]);
      return result;
    },
    // Last on the way there is first on the way back: before the SDK has read it.
    { step: 'deserialize', priority: 'low', name: 'keepLifecycleBody' },
  );
  try {
    const { TransitionDefaultMinimumObjectSize: smallest } = await bucket.ask(
      { action: 's3:GetLifecycleConfiguration', key: null },
      signal,
      async (options) => bucket.client.send(command, options),
    );
    return { xml, smallest: smallest ?? null };
  } catch (error) {
    if (storeCode(error) === 'NoSuchLifecycleConfiguration') {
      return { xml: null, smallest: null };
    }
    throw error;
  }
}

async function bytesOf(body: unknown): Promise<Buffer> {
  if (!(body instanceof Readable)) {
    throw new TypeError('the SDK gave no stream');
  }
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > LARGEST_BYTES) {
      throw new BackupdError('destination-unavailable', 'the rules of the bucket have no end', {
        hint: 'What answers is no store of S3. Check the address.',
      });
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Replaces all rules. @throws BackupdError */
export async function putRules(
  bucket: Bucket,
  { xml, smallest }: { readonly xml: string; readonly smallest: string | null },
  signal: AbortSignal,
): Promise<void> {
  const command = new bucket.sdk.PutBucketLifecycleConfigurationCommand({
    Bucket: bucket.place.bucket,
    LifecycleConfiguration: { Rules: [] },
    ...(smallest === null
      ? {}
      : {
          TransitionDefaultMinimumObjectSize: smallest as TransitionDefaultMinimumObjectSize,
        }),
  });
  command.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as { body: unknown; headers: Record<string, string> };
      request.body = xml;
      // Some stores want this and others a checksum, which the SDK adds.
      request.headers['content-md5'] = createHash('md5').update(xml).digest('base64');
      return next(args);
    },
    // Before lengths and checksums are reckoned.
    { step: 'build', priority: 'high', name: 'putLifecycleBody' },
  );
  await bucket.ask({ action: 's3:PutLifecycleConfiguration', key: null }, signal, async (options) =>
    bucket.client.send(command, options),
  );
}

/** Removes all rules. @throws BackupdError */
export async function deleteRules(bucket: Bucket, signal: AbortSignal): Promise<void> {
  const command = new bucket.sdk.DeleteBucketLifecycleCommand({ Bucket: bucket.place.bucket });
  await bucket.ask({ action: 's3:PutLifecycleConfiguration', key: null }, signal, async (options) =>
    bucket.client.send(command, options),
  );
}
