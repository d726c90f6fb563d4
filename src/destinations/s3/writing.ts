import type { ObjectLockMode, StorageClass } from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { CLOCKS_APART_MS } from '../../core/clocks.ts';
import { BackupdError } from '../../core/errors.ts';
import { archiveClass, type Bucket } from './bucket.ts';
import { clockFailure, isNoAnswer, storeCode, storeStatus } from './failures.ts';
import { bucketRegion } from './region.ts';

/** How objects are written to a bucket. */
export interface Writing {
  /** Whether each body carries a checksum: AWS takes them always, others where objects are locked. */
  readonly checksums: boolean;
  /** Whether it carries its MD5 as well: before there were checksums that was what locks asked for, and some still do. */
  readonly md5: boolean;
}

/**
 * Looks whether a bucket may be written to, and how.
 * @throws BackupdError `config-invalid` where it is in a region that is not allowed, or says no region
 */
export async function lookBeforeWriting(bucket: Bucket, signal: AbortSignal): Promise<Writing> {
  await checkRegion(bucket, signal);
  if (bucket.isAws) {
    return { checksums: true, md5: false };
  }
  if (bucket.place.objectLock !== null) {
    // The lock needs the time of the store, so it is asked something first.
    await hasLock(bucket, signal);
    return { checksums: true, md5: true };
  }
  // Who may not ask is on the safe side with checksums: a bucket that locks takes nothing without them.
  const mayLock = (await hasLock(bucket, signal)) !== false;
  return { checksums: mayLock, md5: mayLock };
}

async function checkRegion(bucket: Bucket, signal: AbortSignal): Promise<void> {
  const { allowedRegions, name } = bucket.settings;
  if (allowedRegions === null) {
    return;
  }
  const region = await bucketRegion(bucket, signal);
  if (region !== null && allowedRegions.includes(region)) {
    return;
  }
  const where = region === null ? 'does not say in which region it is' : `is in ${region}`;
  throw new BackupdError(
    'config-invalid',
    `destination "${name}": the bucket "${bucket.place.bucket}" ${where}, and BACKUPD_ALLOWED_REGIONS allows ${allowedRegions.join(', ')} only`,
    {
      hint: 'Use a bucket in an allowed region, or allow its region if that is right. Nothing was sent.',
    },
  );
}

/** Whether the bucket locks what is written by itself; null where it does not say. */
export async function hasLock(bucket: Bucket, signal: AbortSignal): Promise<boolean | null> {
  const command = new bucket.sdk.GetObjectLockConfigurationCommand({ Bucket: bucket.place.bucket });
  try {
    const { ObjectLockConfiguration: lock } = await bucket.ask(
      { action: 's3:GetBucketObjectLockConfiguration', key: null },
      signal,
      async (options) => bucket.client.send(command, options),
    );
    return lock?.Rule?.DefaultRetention !== undefined;
  } catch (error) {
    if (storeCode(error) === 'AccessDenied') {
      return null;
    }
    // Stores without locks say so in many ways.
    const isWithout = storeStatus(error) === 404 && storeCode(error) !== 'NoSuchBucket';
    if (isWithout || isNoAnswer(error)) {
      return false;
    }
    throw error;
  }
}

/** What is sent with an object that is to be locked. */
export function lockParameters(bucket: Bucket): {
  readonly ObjectLockMode?: ObjectLockMode;
  readonly ObjectLockRetainUntilDate?: Date;
} {
  const { objectLock } = bucket.place;
  if (objectLock === null) {
    return {};
  }
  const aheadMs = bucket.clock.aheadMs() ?? 0;
  // A lock until a time that somebody's wrong clock says is none.
  if (Math.abs(aheadMs) > CLOCKS_APART_MS) {
    const { code, message, hint } = clockFailure(aheadMs);
    throw new BackupdError(code, `destination "${bucket.settings.name}": ${message}`, { hint });
  }
  return {
    ObjectLockMode: objectLock.mode,
    ObjectLockRetainUntilDate: new Date(Date.now() + aheadMs + objectLock.days * DAY_MS),
  };
}

const DAY_MS = 86_400_000;

/** As S3 writes it. */
export function crc32Of(bytes: Uint8Array): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString('base64');
}

/**
 * What is sent with a body that carries a checksum. The SDK leaves one that is there alone; that there is one, stores of
 * locked objects want to be told as well.
 */
export function checksumParameters(
  bytes: Uint8Array,
  { checksums, md5 }: Writing,
): ChecksumParameters {
  return {
    ...(checksums ? { ChecksumCRC32: crc32Of(bytes), ChecksumAlgorithm: 'CRC32' } : {}),
    ...(md5 ? { ContentMD5: createHash('md5').update(bytes).digest('base64') } : {}),
  };
}

export interface ChecksumParameters {
  readonly ChecksumCRC32?: string;
  readonly ChecksumAlgorithm?: 'CRC32';
  readonly ContentMD5?: string;
}

/** The class of archives. */
export function storageClassOf(bucket: Bucket): { readonly StorageClass?: StorageClass } {
  const named = archiveClass(bucket.place);
  return named === null ? {} : { StorageClass: named as StorageClass };
}
