import type { CommonPrefix } from '@aws-sdk/client-s3';
import type { Bucket } from './bucket.ts';
import { versioning } from './versioning.ts';

/** The names directly below a prefix that have something below them, if only earlier versions. */
export async function listFolders(
  bucket: Bucket,
  prefix: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const found = new Set<string>();

  function take(prefixes: readonly CommonPrefix[] | undefined): void {
    for (const { Prefix = '' } of prefixes ?? []) {
      found.add(bucket.relativeKey(Prefix).slice(prefix.length, -1));
    }
  }

  const common = {
    Bucket: bucket.place.bucket,
    Prefix: bucket.fullPrefix(prefix),
    Delimiter: '/',
  };
  let token: string | undefined;
  do {
    const command = new bucket.sdk.ListObjectsV2Command({
      ...common,
      ...(token === undefined ? {} : { ContinuationToken: token }),
    });
    const page = await bucket.ask({ action: 's3:ListBucket', key: null }, signal, async (options) =>
      bucket.client.send(command, options),
    );
    take(page.CommonPrefixes);
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
  const keepsVersions = (await versioning(bucket, signal)) === true;
  for (let after: string | null = keepsVersions ? '' : null; after !== null;) {
    const command = new bucket.sdk.ListObjectVersionsCommand({
      ...common,
      ...(after === '' ? {} : { KeyMarker: after }),
    });
    const asked = { action: 's3:ListBucketVersions', key: null };
    const page = await bucket.ask(asked, signal, async (options) =>
      bucket.client.send(command, options),
    );
    take(page.CommonPrefixes);
    after = page.IsTruncated === true ? (page.NextKeyMarker ?? null) : null;
  }
  return [...found];
}
