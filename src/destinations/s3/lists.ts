import type {
  ListMultipartUploadsCommand,
  ListMultipartUploadsCommandOutput,
} from '@aws-sdk/client-s3';
import type { ListedObject, ListedVersion, UnfinishedUpload } from '../../core/destination.ts';
import type { Bucket } from './bucket.ts';
import { storeStatus } from './failures.ts';

/** All objects whose keys begin with this. */
export async function* listObjects(
  bucket: Bucket,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<ListedObject> {
  let token: string | undefined;
  do {
    const command = new bucket.sdk.ListObjectsV2Command({
      Bucket: bucket.place.bucket,
      Prefix: bucket.fullPrefix(prefix),
      ...(token === undefined ? {} : { ContinuationToken: token }),
    });
    const page = await bucket.ask({ action: 's3:ListBucket', key: null }, signal, async (options) =>
      bucket.client.send(command, options),
    );
    for (const object of page.Contents ?? []) {
      yield listed(bucket, object);
    }
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}

function listed(
  bucket: Bucket,
  object: {
    readonly Key?: string | undefined;
    readonly Size?: number | undefined;
    readonly ETag?: string | undefined;
    readonly LastModified?: Date | undefined;
  },
): ListedObject {
  return {
    key: bucket.relativeKey(object.Key ?? ''),
    bytes: object.Size ?? 0,
    etag: object.ETag ?? '',
    modifiedAt: (object.LastModified ?? new Date(0)).toISOString(),
  };
}

/** All versions and delete markers of keys that begin with this; of a store that keeps none its objects. */
export async function* listVersions(
  bucket: Bucket,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<ListedVersion> {
  let after: { readonly KeyMarker?: string; readonly VersionIdMarker?: string } | null = {};
  while (after !== null) {
    const page = await versionsPage(bucket, { prefix, after }, signal);
    if (page === null) {
      for await (const object of listObjects(bucket, prefix, signal)) {
        yield { ...object, versionId: null, isLatest: true, isDeleteMarker: false };
      }
      return;
    }
    yield* page.versions;
    after = page.next;
  }
}

interface VersionsPage {
  readonly versions: readonly ListedVersion[];
  readonly next: { readonly KeyMarker: string; readonly VersionIdMarker?: string } | null;
}

/** Null where the store does not know of versions. */
async function versionsPage(
  bucket: Bucket,
  { prefix, after }: { readonly prefix: string; readonly after: object },
  signal: AbortSignal,
): Promise<VersionsPage | null> {
  const command = new bucket.sdk.ListObjectVersionsCommand({
    Bucket: bucket.place.bucket,
    Prefix: bucket.fullPrefix(prefix),
    ...after,
  });
  try {
    const page = await bucket.ask(
      { action: 's3:ListBucketVersions', key: null },
      signal,
      async (options) => bucket.client.send(command, options),
    );
    const kinds = [
      { of: page.Versions ?? [], isDeleteMarker: false },
      { of: page.DeleteMarkers ?? [], isDeleteMarker: true },
    ];
    const versions = kinds.flatMap(({ of, isDeleteMarker }) =>
      of.map((version) => ({
        ...listed(bucket, version),
        versionId: version.VersionId ?? null,
        isLatest: version.IsLatest ?? false,
        isDeleteMarker,
      })),
    );
    const { NextKeyMarker, NextVersionIdMarker } = page;
    const next =
      page.IsTruncated === true && NextKeyMarker !== undefined
        ? {
            KeyMarker: NextKeyMarker,
            ...(NextVersionIdMarker === undefined ? {} : { VersionIdMarker: NextVersionIdMarker }),
          }
        : null;
    return { versions: versions.toSorted(newestFirst), next };
  } catch (error) {
    if (storeStatus(error) === 501) {
      return null;
    }
    throw error;
  }
}

/** Of one key; a marker and a version of the same second are told apart by which is the latest. */
function newestFirst(one: ListedVersion, other: ListedVersion): number {
  if (one.key !== other.key) {
    return one.key < other.key ? -1 : 1;
  }
  if (one.isLatest !== other.isLatest) {
    return one.isLatest ? -1 : 1;
  }
  return Date.parse(other.modifiedAt) - Date.parse(one.modifiedAt);
}

/** Uploads that were begun and not finished. */
export async function* listUploads(
  bucket: Bucket,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<UnfinishedUpload> {
  let after: { readonly KeyMarker?: string; readonly UploadIdMarker?: string } | null = {};
  while (after !== null) {
    const command: ListMultipartUploadsCommand = new bucket.sdk.ListMultipartUploadsCommand({
      Bucket: bucket.place.bucket,
      Prefix: bucket.fullPrefix(prefix),
      ...after,
    });
    const page: ListMultipartUploadsCommandOutput = await bucket.ask(
      { action: 's3:ListBucketMultipartUploads', key: null },
      signal,
      async (options) => bucket.client.send(command, options),
    );
    for (const { Key = '', UploadId = '', Initiated } of page.Uploads ?? []) {
      yield {
        key: bucket.relativeKey(Key),
        uploadId: UploadId,
        beganAt: (Initiated ?? new Date(0)).toISOString(),
      };
    }
    const { NextKeyMarker, NextUploadIdMarker } = page;
    after =
      page.IsTruncated === true && NextKeyMarker !== undefined
        ? { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker ?? '' }
        : null;
  }
}
