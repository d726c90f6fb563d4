import type { Destination, ListedVersion } from '../core/destination.ts';
import type { BackupId } from '../core/layout.ts';
import { isArchiveName } from '../core/manifest.ts';
import { isRecordName, parseKey, sourcePrefix } from '../core/remote-keys.ts';

/** What is listed. */
export interface Listing {
  readonly destination: Destination;
  readonly namespace: string;
  /** Null: all of them. */
  readonly source: string | null;
  /** `current`: what is there now. `recoverable`: also what was before, where the place keeps versions. */
  readonly view: 'current' | 'recoverable';
}

/** By names in the folder of the backup (`shop.dump.zst`, `receipts/0001-pinned.json`); versions newest first. */
export type RemoteObjects = ReadonlyMap<string, readonly ListedVersion[]>;

/** What is named as a backup. */
export interface ListedBackup {
  readonly source: string;
  readonly id: BackupId;
  readonly objects: ReadonlyMap<string, ListedVersion[]>;
}

/** What a listing found. */
export interface Listed {
  readonly backups: readonly ListedBackup[];
  /** Whether there may be earlier versions that were not looked at, since backupd may not ask for them. */
  readonly isPartial: boolean;
}

/** All that is named as a backup; objects that cannot be of one are left out. @throws what the destination throws */
export async function listBackups(query: Listing, signal: AbortSignal): Promise<Listed> {
  const found = new Map<
    string,
    { source: string; id: BackupId; objects: Map<string, ListedVersion[]> }
  >();
  const { destination, namespace, source, view } = query;
  const keepsVersions =
    view === 'recoverable' ? (await destination.inspect(signal)).keepsVersions : false;
  const prefix = source === null ? `${namespace}/` : sourcePrefix(namespace, source);
  for await (const version of keepsVersions === true
    ? destination.listVersions(prefix, signal)
    : asVersions(destination, prefix, signal)) {
    const key = parseKey(version.key);
    if (key !== null && isOfBackup(key.name)) {
      const folder = `${key.source}/${key.id}`;
      const objects = found.get(folder)?.objects ?? new Map<string, ListedVersion[]>();
      objects.set(key.name, [...(objects.get(key.name) ?? []), version]);
      found.set(folder, { source: key.source, id: key.id, objects });
    }
  }
  return { backups: [...found.values()], isPartial: keepsVersions === null };
}

/** Whether an object in the folder of a backup can be one of ours. */
function isOfBackup(name: string): boolean {
  return isRecordName(name) || isArchiveName(name);
}

async function* asVersions(
  destination: Destination,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<ListedVersion> {
  for await (const object of destination.list(prefix, signal)) {
    yield { ...object, versionId: null, isLatest: true, isDeleteMarker: false };
  }
}

/** The versions of an object that hold something, oldest first. */
export function whole(objects: RemoteObjects, name: string): readonly ListedVersion[] {
  return (objects.get(name) ?? []).filter((version) => !version.isDeleteMarker).toReversed();
}
