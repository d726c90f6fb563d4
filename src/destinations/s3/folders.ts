import type { CommonPrefix } from '@aws-sdk/client-s3';
import type { Bucket } from './bucket.ts';
import { objectPages, versionPages } from './lists.ts';
import { versioning } from './versioning.ts';

/** The names directly below a prefix that have something below them, if only earlier versions. */
export async function listFolders(
  bucket: Bucket,
  prefix: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const found = new Set<string>();
  const below = { prefix, delimiter: '/' } as const;

  async function take(
    pages: AsyncIterable<{ readonly CommonPrefixes?: CommonPrefix[] | undefined }>,
  ): Promise<void> {
    for await (const { CommonPrefixes = [] } of pages) {
      for (const { Prefix = '' } of CommonPrefixes) {
        found.add(bucket.relativeKey(Prefix).slice(prefix.length, -1));
      }
    }
  }

  await take(objectPages(bucket, below, signal));
  if ((await versioning(bucket, signal)) === true) {
    await take(versionPages(bucket, below, signal));
  }
  return [...found];
}
