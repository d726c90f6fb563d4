import type {
  ListMultipartUploadsCommand,
  ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  ListObjectsV2CommandOutput,
  ListObjectVersionsCommand,
  ListObjectVersionsCommandOutput,
} from '@aws-sdk/client-s3';
import type { ListedObject, ListedVersion, UnfinishedUpload } from '../../core/destination.ts';
import { BackupdError } from '../../core/errors.ts';
import type { Bucket } from './bucket.ts';
import { storeStatus } from './failures.ts';

/** What is below a prefix, page by page; with a delimiter what goes on behind it is one of the common prefixes. */
export async function* objectPages(
  bucket: Bucket,
  { prefix, delimiter }: { readonly prefix: string; readonly delimiter?: '/' },
  signal: AbortSignal,
): AsyncGenerator<ListObjectsV2CommandOutput> {
  let token: string | null = null;
  do {
    const command: ListObjectsV2Command = new bucket.sdk.ListObjectsV2Command({
      Bucket: bucket.place.bucket,
      Prefix: bucket.fullPrefix(prefix),
      ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
      ...(token === null ? {} : { ContinuationToken: token }),
    });
    const page: ListObjectsV2CommandOutput = await bucket.ask(
      { action: 's3:ListBucket', key: null },
      signal,
      async (options) => bucket.client.send(command, options),
    );
    yield page;
    token = nextOf(bucket, page.IsTruncated, page.NextContinuationToken);
  } while (token !== null);
}

/** Where a list goes on; null where it is at its end. One that says that it goes on and not where has no end to trust. */
function nextOf(
  { settings }: Bucket,
  isTruncated: boolean | undefined,
  marker: string | undefined,
): string | null {
  if (isTruncated !== true) {
    return null;
  }
  if (marker === undefined || marker === '') {
    throw new BackupdError(
      'destination-unavailable',
      `destination "${settings.name}": a list of the store is cut off, and does not say where it goes on`,
      { hint: 'Look at what is between here and the store; a proxy may have changed the answer.' },
    );
  }
  return marker;
}

/** All objects whose keys begin with this. */
export async function* listObjects(
  bucket: Bucket,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<ListedObject> {
  for await (const { Contents = [] } of objectPages(bucket, { prefix }, signal)) {
    yield* Contents.map((object) => listed(bucket, object));
  }
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

/**
 * All versions and delete markers below a prefix, page by page, as {@link objectPages}.
 * @throws BackupdError of a store that does not know of versions, with the status 501
 */
export async function* versionPages(
  bucket: Bucket,
  { prefix, delimiter }: { readonly prefix: string; readonly delimiter?: '/' },
  signal: AbortSignal,
): AsyncGenerator<ListObjectVersionsCommandOutput> {
  let after: { readonly KeyMarker?: string; readonly VersionIdMarker?: string } | null = {};
  while (after !== null) {
    const command: ListObjectVersionsCommand = new bucket.sdk.ListObjectVersionsCommand({
      Bucket: bucket.place.bucket,
      Prefix: bucket.fullPrefix(prefix),
      ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
      ...after,
    });
    const page: ListObjectVersionsCommandOutput = await bucket.ask(
      { action: 's3:ListBucketVersions', key: null },
      signal,
      async (options) => bucket.client.send(command, options),
    );
    yield page;
    const { NextVersionIdMarker } = page;
    const key = nextOf(bucket, page.IsTruncated, page.NextKeyMarker);
    after =
      key === null
        ? null
        : {
            KeyMarker: key,
            ...(NextVersionIdMarker === undefined ? {} : { VersionIdMarker: NextVersionIdMarker }),
          };
  }
}

/** All versions and delete markers of keys that begin with this; of a store that keeps none its objects. */
export async function* listVersions(
  bucket: Bucket,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<ListedVersion> {
  try {
    for await (const page of versionPages(bucket, { prefix }, signal)) {
      yield* versionsIn(bucket, page);
    }
    return;
  } catch (error) {
    if (storeStatus(error) !== 501) {
      throw error;
    }
  }
  for await (const object of listObjects(bucket, prefix, signal)) {
    yield { ...object, versionId: null, isLatest: true, isDeleteMarker: false };
  }
}

function versionsIn(
  bucket: Bucket,
  { Versions = [], DeleteMarkers = [] }: ListObjectVersionsCommandOutput,
): readonly ListedVersion[] {
  const kinds = [
    { of: Versions, isDeleteMarker: false },
    { of: DeleteMarkers, isDeleteMarker: true },
  ];
  return kinds
    .flatMap(({ of, isDeleteMarker }) =>
      of.map((version) => ({
        ...listed(bucket, version),
        versionId: version.VersionId ?? null,
        isLatest: version.IsLatest ?? false,
        isDeleteMarker,
      })),
    )
    .toSorted(newestFirst);
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
    const key = nextOf(bucket, page.IsTruncated, page.NextKeyMarker);
    after = key === null ? null : { KeyMarker: key, UploadIdMarker: page.NextUploadIdMarker ?? '' };
  }
}
