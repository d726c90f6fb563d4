import type { PutObjectTaggingCommand, Tag } from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import type { ObjectFacts } from '../../core/destination.ts';
import { BackupdError } from '../../core/errors.ts';
import { TAG_KEY, type LifecycleTag } from '../../core/lifecycle.ts';
import type { Bucket } from './bucket.ts';
import { isUnsupported, storeAnswer, storeCode } from './failures.ts';

type Tagged = Pick<ObjectFacts, 'key' | 'versionId'>;

/** The tag of ours on an object; null: none, or the object is gone. */
export async function readTag(
  bucket: Bucket,
  object: Tagged,
  signal: AbortSignal,
): Promise<LifecycleTag | null> {
  return ourTag((await getTags(bucket, object, signal)) ?? []);
}

function ourTag(tags: readonly Tag[]): LifecycleTag | null {
  const value = tags.find(({ Key }) => Key === TAG_KEY)?.Value;
  return value === 'archive' || value === 'expire' ? value : null;
}

/** Sets our tag or takes it away; tags of others stay. */
export async function writeTag(
  bucket: Bucket,
  object: Tagged,
  tag: LifecycleTag | null,
  signal: AbortSignal,
): Promise<void> {
  const tags = await getTags(bucket, object, signal);
  if (tags === null || ourTag(tags) === tag) {
    return;
  }
  const others = tags.filter(({ Key }) => Key !== TAG_KEY);
  const TagSet = tag === null ? others : [...others, { Key: TAG_KEY, Value: tag }];
  const place = parameters(bucket, object);
  if (TagSet.length === 0) {
    const command = new bucket.sdk.DeleteObjectTaggingCommand(place);
    await ask(bucket, { verb: 'Delete', object }, signal, (options) =>
      bucket.client.send(command, options),
    );
    return;
  }
  const command = new bucket.sdk.PutObjectTaggingCommand({ ...place, Tagging: { TagSet } });
  addMd5(command);
  await ask(bucket, { verb: 'Put', object }, signal, (options) =>
    bucket.client.send(command, options),
  );
}

/** Some stores want it where objects are locked, though the SDK adds a checksum. */
function addMd5(command: PutObjectTaggingCommand): void {
  command.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as { body: string; headers: Record<string, string> };
      request.headers['content-md5'] = createHash('md5').update(request.body).digest('base64');
      return next(args);
    },
    { step: 'build', name: 'addMd5' },
  );
}

/** Null: the object is gone. */
async function getTags(
  bucket: Bucket,
  object: Tagged,
  signal: AbortSignal,
): Promise<readonly Tag[] | null> {
  const command = new bucket.sdk.GetObjectTaggingCommand(parameters(bucket, object));
  const answer = await ask(bucket, { verb: 'Get', object }, signal, (options) =>
    bucket.client.send(command, options),
  );
  return answer === null ? null : (answer.TagSet ?? []);
}

function parameters(
  bucket: Bucket,
  { key, versionId }: Tagged,
): { readonly Bucket: string; readonly Key: string; readonly VersionId?: string } {
  return {
    Bucket: bucket.place.bucket,
    Key: bucket.fullKey(key),
    ...(versionId === null ? {} : { VersionId: versionId }),
  };
}

/**
 * Null where the object is gone.
 * @throws BackupdError also `config-invalid` where the store has no tags
 */
async function ask<Answer>(
  bucket: Bucket,
  { verb, object }: { readonly verb: 'Get' | 'Put' | 'Delete'; readonly object: Tagged },
  signal: AbortSignal,
  send: (options: { readonly abortSignal: AbortSignal }) => Promise<Answer>,
): Promise<Answer | null> {
  const { key, versionId } = object;
  const action = `s3:${verb}Object${versionId === null ? '' : 'Version'}Tagging`;
  try {
    return await bucket.ask({ action, key }, signal, send);
  } catch (error) {
    if (['NoSuchKey', 'NoSuchVersion'].includes(storeCode(error))) {
      return null;
    }
    if (isUnsupported(error)) {
      throw new BackupdError(
        'config-invalid',
        `destination "${bucket.settings.name}": the store has no tags, without which its lifecycle cannot be told what to do (${storeAnswer(error)})`,
        {
          hint: 'Remove the lifecycle of this destination; without it retention deletes by itself. Rules that are by prefix would reach manifests and what is kept.',
          cause: error,
        },
      );
    }
    throw error;
  }
}
