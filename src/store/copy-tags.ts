import type { Destination } from '../core/destination.ts';
import type { BackupId } from '../core/layout.ts';
import type { LifecycleTag } from '../core/lifecycle.ts';
import { readJson } from './atomic-file.ts';
import { acquireStateLock } from './lock.ts';
import { statePath, writeState } from './state-file.ts';

/** Which tag of ours all objects of a copy have; `none`: it was seen that they have none. */
export type CopyTag = LifecycleTag | 'none';

/** By copy; of one that is not there nothing is known. */
export type CopyTags = ReadonlyMap<string, CopyTag>;

interface CopyRef {
  readonly source: string;
  readonly id: BackupId;
}

/** The name of a copy in {@link CopyTags}. */
export function tagName({ source, id }: CopyRef): string {
  return `${source}/${id}`;
}

/** Where copies are. What was noted of another place that had the name is of no use. */
export type TaggedPlace = Pick<Destination, 'name' | 'place'>;

/** The tags of the copies at a destination, as far as they are known; a record that is damaged is reported by the catalog. */
export async function readCopyTags(dir: string, { name, place }: TaggedPlace): Promise<CopyTags> {
  const stored = await readJson(statePath(dir, 'tags', name));
  const value = (stored.state === 'present' ? stored.value : null) ?? {};
  const record = value as { readonly place?: unknown; readonly tags?: unknown };
  const tags = record.place === place ? (record.tags ?? {}) : {};
  return new Map(Object.entries(tags).filter(isKnown));
}

function isKnown(entry: [string, unknown]): entry is [string, CopyTag] {
  return entry[1] === 'archive' || entry[1] === 'expire' || entry[1] === 'none';
}

/**
 * Notes the tags of copies.
 * @param tag null: nothing is known of them any more
 * @throws BackupdError `no-space`, `storage-unavailable`
 */
export async function recordCopyTags(
  dir: string,
  destination: TaggedPlace,
  changes: ReadonlyMap<string, CopyTag | null>,
): Promise<void> {
  const { name, place } = destination;
  await using _lock = await acquireStateLock(dir, `tags-${name}`);
  const before = await readCopyTags(dir, destination);
  if ([...changes].every(([copy, tag]) => (before.get(copy) ?? null) === tag)) {
    return;
  }
  const known = [...new Map<string, CopyTag | null>([...before, ...changes])].filter(
    ([, tag]) => tag !== null,
  );
  await writeState(dir, { kind: 'tags', name: [name] }, { place, tags: Object.fromEntries(known) });
}
