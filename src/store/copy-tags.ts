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

/** The tags of the copies at a destination, as far as they are known; a record that is damaged is reported by the catalog. */
export async function readCopyTags(dir: string, destination: string): Promise<CopyTags> {
  const stored = await readJson(statePath(dir, 'tags', destination));
  const value: unknown = stored.state === 'present' ? stored.value : null;
  return new Map(Object.entries(value ?? {}).filter(isKnown));
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
  destination: string,
  changes: ReadonlyMap<string, CopyTag | null>,
): Promise<void> {
  await using _lock = await acquireStateLock(dir, `tags-${destination}`);
  const before = await readCopyTags(dir, destination);
  if ([...changes].every(([name, tag]) => (before.get(name) ?? null) === tag)) {
    return;
  }
  const after = new Map<string, CopyTag | null>([...before, ...changes]);
  const known = [...after].filter(([, tag]) => tag !== null);
  await writeState(dir, { kind: 'tags', name: [destination] }, Object.fromEntries(known));
}
