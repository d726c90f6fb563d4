import type { ObjectFacts, RetrievalTier } from '../../core/destination.ts';
import { BackupdError } from '../../core/errors.ts';
import type { Bucket } from './bucket.ts';
import { storeCode } from './failures.ts';

const TIERS = { expedited: 'Expedited', standard: 'Standard', bulk: 'Bulk' } as const;
const ACCEPTED = 202;

export interface Retrieval {
  readonly tier: RetrievalTier;
  /** For how long it can be read when it came back. */
  readonly days: number;
}

/** Asks for the return of an archived object. */
export async function retrieveObject(
  bucket: Bucket,
  { key, versionId }: Pick<ObjectFacts, 'key' | 'versionId'>,
  { tier, days }: Retrieval,
  signal: AbortSignal,
): Promise<'readable' | 'returning'> {
  const command = new bucket.sdk.RestoreObjectCommand({
    Bucket: bucket.place.bucket,
    Key: bucket.fullKey(key),
    ...(versionId === null ? {} : { VersionId: versionId }),
    RestoreRequest: { Days: days, GlacierJobParameters: { Tier: TIERS[tier] } },
  });
  try {
    const { $metadata } = await bucket.ask(
      { action: 's3:RestoreObject', key },
      signal,
      async (options) => bucket.client.send(command, options),
    );
    return $metadata.httpStatusCode === ACCEPTED ? 'returning' : 'readable';
  } catch (error) {
    switch (storeCode(error)) {
      case 'RestoreAlreadyInProgress':
        return 'returning';
      // Its class is none of those that are asked back.
      case 'InvalidObjectState':
      case 'ObjectAlreadyInActiveTierError':
        return 'readable';
      case 'InvalidArgument':
      case 'GlacierExpeditedRetrievalNotAvailable':
        throw new BackupdError(
          'usage',
          `${key} at ${bucket.settings.name} does not come back as fast as "${tier}"`,
          { hint: 'Ask for it with --tier standard or --tier bulk.', cause: error },
        );
      default:
        throw error;
    }
  }
}
