import type { BucketSettings, DestinationSettings } from '../../core/destination-settings.ts';
import type { Destination, PlaceFacts } from '../../core/destination.ts';
import type { StoreLifecycle } from '../../core/lifecycle.ts';
import { isFarAway } from '../offsite.ts';
import { archiveClass, openBucket, placeName, type Bucket, type Patience } from './bucket.ts';
import { listFolders } from './folders.ts';
import { applyRules, compareRules } from './lifecycle.ts';
import { listObjects, listUploads, listVersions } from './lists.ts';
import { getObject, headObject, readObject, removeObject } from './objects.ts';
import { putIfAbsent, putWhole } from './put.ts';
import { bucketRegion } from './region.ts';
import { retrieveObject } from './retrieve.ts';
import { readTag, writeTag } from './tags.ts';
import { endUpload, uploadFile } from './upload.ts';
import { versioning } from './versioning.ts';
import { hasLock, lookBeforeWriting, type Writing } from './writing.ts';

/**
 * A bucket of an S3-compatible store. Nothing is loaded or sent before it is asked for something.
 * @param patience how long to wait for the network; default: what suits networks
 */
export function bucketDestination(
  settings: DestinationSettings,
  place: BucketSettings,
  patience?: Patience,
): Destination {
  let opened: Promise<Bucket> | null = null;
  // Looked at once: this one lives no longer than a run of uploads.
  let writing: Writing | null = null;

  async function open(): Promise<Bucket> {
    opened ??= openBucket(settings, place, patience);
    return opened;
  }

  async function openToWrite(signal: AbortSignal): Promise<[Bucket, Writing]> {
    const bucket = await open();
    writing ??= await lookBeforeWriting(bucket, signal);
    return [bucket, writing];
  }

  return {
    name: settings.name,
    kind: 's3',
    place: placeName(place),
    lifecycle: lifecycleOf(place, open),
    inspect: async (signal) => inspectBucket(await open(), signal),
    async putFile(key, file, how, signal) {
      const [bucket, writing] = await openToWrite(signal);
      return uploadFile(bucket, { key, file, how, writing }, signal);
    },
    async put(key, bytes, { ifAbsent }, signal) {
      const [bucket, writing] = await openToWrite(signal);
      if (ifAbsent) {
        return putIfAbsent(bucket, { key, bytes }, writing, signal);
      }
      await putWhole(
        bucket,
        { key, bytes },
        { writing, as: 'record', onlyIfAbsent: false },
        signal,
      );
      return 'put';
    },
    listFolders: async (prefix, signal) => listFolders(await open(), prefix, signal),
    async *list(prefix, signal) {
      yield* listObjects(await open(), prefix, signal);
    },
    async *listVersions(prefix, signal) {
      yield* listVersions(await open(), prefix, signal);
    },
    head: async (key, versionId, signal) => headObject(await open(), { key, versionId }, signal),
    get: async (key, versionId, signal) => getObject(await open(), { key, versionId }, signal),
    read: async (object, range, signal) => readObject(await open(), object, range, signal),
    retrieve: async (object, how, signal) => retrieveObject(await open(), object, how, signal),
    remove: async (key, versionId, signal) =>
      removeObject(await open(), { key, versionId }, signal),
    async *listUploads(prefix, signal) {
      yield* listUploads(await open(), prefix, signal);
    },
    abortUpload: async (upload, signal) => endUpload(await open(), upload, signal),
  };
}

function lifecycleOf(place: BucketSettings, open: () => Promise<Bucket>): StoreLifecycle {
  return {
    storageClass: archiveClass(place),
    compareRules: async (namespace, wanted, signal) =>
      compareRules(await open(), namespace, wanted, signal),
    applyRules: async (namespace, wanted, signal) =>
      applyRules(await open(), namespace, wanted, signal),
    readTag: async (object, signal) => readTag(await open(), object, signal),
    writeTag: async (object, tag, signal) => writeTag(await open(), object, tag, signal),
  };
}

async function inspectBucket(bucket: Bucket, signal: AbortSignal): Promise<PlaceFacts> {
  const { endpoint, objectLock } = bucket.place;
  // The first one alone: where clocks differ, the SDK learns it from the answer.
  const region = await bucketRegion(bucket, signal);
  const [keepsVersions, locks] = await Promise.all([
    versioning(bucket, signal),
    objectLock === null ? hasLock(bucket, signal) : true,
  ]);
  return {
    region,
    isOffsite:
      bucket.settings.isOffsite ??
      (endpoint === null || (await isFarAway(new URL(endpoint).hostname))),
    keepsVersions,
    locksObjects: locks,
    clockAheadMs: Math.round((bucket.clock.aheadMs() ?? 0) / 1000) * 1000,
  };
}
