import type { Lifecycle } from '../../core/destination-settings.ts';
import { TAG_KEY, type LifecycleTag } from '../../core/lifecycle.ts';
import type { Bucket } from './bucket.ts';

const GOOGLE = 'storage.googleapis.com';
/** How the names of archives end; those of manifests and receipts do not. */
const ARCHIVE_ENDINGS = ['.zst', '.gz', '.dump', '.sql', '.tar', '.archive', '.age', '.gpg'];

/** In full sentences what to set at a store that does not take our rules, by its own means. */
export function nativeRules(bucket: Bucket, namespace: string, wanted: Lifecycle | null): string {
  const prefix = bucket.fullPrefix(`${namespace}/`);
  const { moves, expireDays } = wanted ?? { moves: [], expireDays: null };
  const { endpoint } = bucket.place;
  if (endpoint !== null && new URL(endpoint).hostname === GOOGLE) {
    const rule = moves.map(({ storageClass, days }) => ({
      action: { type: 'SetStorageClass', storageClass: googleClass(storageClass) },
      condition: { age: days, matchesPrefix: [prefix], matchesSuffix: ARCHIVE_ENDINGS },
    }));
    return rule.length === 0
      ? 'Google Cloud Storage has no rules by tags.'
      : `Set its own rule, with "gcloud storage buckets update gs://${bucket.place.bucket} --lifecycle-file": ${JSON.stringify({ rule })}.`;
  }
  function filter(tag: LifecycleTag): unknown {
    return { And: { Prefix: prefix, Tags: [{ Key: TAG_KEY, Value: tag }] } };
  }
  const rules = [
    ...(moves.length === 0
      ? []
      : [
          {
            Filter: filter('archive'),
            Transitions: moves.map(({ days, storageClass }) => ({
              Days: days,
              StorageClass: storageClass,
            })),
          },
        ]),
    ...(expireDays === null
      ? []
      : [{ Filter: filter('expire'), Expiration: { Days: expireDays } }]),
  ];
  return `Name a class that it has (CLASS:30d; of MinIO: the name of a tier in capitals). It was to be, as S3 writes it: ${JSON.stringify({ Rules: rules })}.`;
}

function googleClass(name: string): string {
  return name === 'GLACIER' || name === 'DEEP_ARCHIVE' ? 'ARCHIVE' : name;
}
