import type { Lifecycle } from './destination-settings.ts';
import type { ObjectFacts } from './destination.ts';

/** The key of the one tag that backupd sets on objects; rules go by its values. */
export const TAG_KEY = 'backupd';

/** `archive`: may be moved to another class. `expire`: retention gave it up, the store deletes it at its age. */
export type LifecycleTag = 'archive' | 'expire';

/**
 * What a store does by itself with objects as they age: by rules of ours, which stand beside those of others, and by a tag
 * that we set on objects. Rules are those of one namespace.
 *
 * What holds for all methods is said at the destination. They also throw `config-invalid`, with the store's answer, where
 * it cannot do what is wanted, or where a rule of somebody else could not be kept as it is.
 */
export interface StoreLifecycle {
  /** In which class archives are sent; null: the standard one of the store. */
  readonly storageClass: string | null;

  /**
   * How the rules there differ from what is wanted, a sentence each; changes nothing.
   * @param wanted null: no rule of ours
   */
  compareRules(
    namespace: string,
    wanted: Lifecycle | null,
    signal: AbortSignal,
  ): Promise<readonly string[]>;

  /**
   * Makes our rules there what is wanted: reads, writes, and reads again. Rules of others stay as they are, to the byte.
   * Idempotent: where they are as wanted nothing is written.
   */
  applyRules(namespace: string, wanted: Lifecycle | null, signal: AbortSignal): Promise<void>;

  /** The tag of ours on an object; null: none, or the object is gone. */
  readTag(
    object: Pick<ObjectFacts, 'key' | 'versionId'>,
    signal: AbortSignal,
  ): Promise<LifecycleTag | null>;

  /** Sets our tag, or (null) takes it away; tags of others stay. Idempotent; an object that is gone is fine. */
  writeTag(
    object: Pick<ObjectFacts, 'key' | 'versionId'>,
    tag: LifecycleTag | null,
    signal: AbortSignal,
  ): Promise<void>;
}

/** For how many days at least a store bills an object of a class. Those of AWS, and of Google by its own names. */
const LEAST_DAYS: ReadonlyMap<string, number> = new Map([
  ['STANDARD_IA', 30],
  ['ONEZONE_IA', 30],
  ['GLACIER_IR', 90],
  ['GLACIER', 90],
  ['DEEP_ARCHIVE', 180],
  ['NEARLINE', 30],
  ['COLDLINE', 90],
  ['ARCHIVE', 365],
]);

/**
 * What it costs to delete archives early, a sentence for each class that bills a least time.
 * @param storageClass in which archives are sent; null: the standard one
 */
export function describeEarlyDeletion(
  storageClass: string | null,
  lifecycle: Lifecycle | null,
): readonly string[] {
  const { moves, expireDays } = lifecycle ?? { moves: [], expireDays: null };
  const stays = [{ storageClass: storageClass ?? '', days: 0 }, ...moves];
  return stays.flatMap(({ storageClass: name, days }, index) => {
    const least = LEAST_DAYS.get(name);
    if (least === undefined) {
      return [];
    }
    const next = stays[index + 1];
    const until = days + least;
    const since = days === 0 ? '' : `, so to day ${until}`;
    const bills = `${name} bills ${least} days at least${since}`;
    if (next !== undefined && next.days < until) {
      return [
        `${bills}: the move to ${next.storageClass} pays ${until - next.days} of them in vain`,
      ];
    }
    if (expireDays === null) {
      return [`${bills}: what retention removes before that pays the rest in vain`];
    }
    const deletedOn = Math.max(expireDays, days);
    return [
      deletedOn >= until
        ? `${bills}: nothing is deleted before that`
        : `${bills}: what is deleted on day ${deletedOn} pays ${until - deletedOn} of them in vain`,
    ];
  });
}
