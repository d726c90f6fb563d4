import {
  isBackupId,
  isSourceName,
  MANIFEST_FILE,
  RECEIPTS_FOLDER,
  STATE_FOLDER,
  type BackupId,
} from './layout.ts';

/** What names a backup in a destination, where several namespaces may be. */
export interface RemoteBackup {
  readonly namespace: string;
  readonly source: string;
  readonly id: BackupId;
}

/** Before all keys of a source's backups. */
export function sourcePrefix(namespace: string, source: string): string {
  return `${namespace}/${source}/`;
}

/** Before all keys of a backup: the tree there is the one on the disk, under its namespace. */
export function backupPrefix({ namespace, source, id }: RemoteBackup): string {
  return `${sourcePrefix(namespace, source)}${id}/`;
}

/** Of one file of a backup; its manifest is one of them. */
export function fileKey(backup: RemoteBackup, name: string): string {
  return `${backupPrefix(backup)}${name}`;
}

/** @param name as on the disk: `0001-pinned.json` */
export function receiptKey(backup: RemoteBackup, name: string): string {
  return `${backupPrefix(backup)}${RECEIPTS_FOLDER}/${name}`;
}

/** Says which `/backups` the namespace belongs to. */
export function ownerKey(namespace: string): string {
  return `${namespace}/${STATE_FOLDER}/owner.json`;
}

/** A key below a backup. */
export interface RemoteKey extends RemoteBackup {
  /** What follows the backup's prefix: `manifest.json`, `receipts/0001-pinned.json`. */
  readonly name: string;
}

/** Null for a key that lies in no backup: the owner, or an object of somebody else. */
export function parseKey(key: string): RemoteKey | null {
  const [namespace = '', source = '', id = '', ...rest] = key.split('/');
  const name = rest.join('/');
  return isSourceName(namespace) && isSourceName(source) && isBackupId(id) && name !== ''
    ? { namespace, source, id, name }
    : null;
}

const RECEIPT_NAME = new RegExp(`^${RECEIPTS_FOLDER}/\\d+-[a-z-]+\\.json$`);

/** Whether what follows a backup's prefix is what backupd puts there beside the archives. */
export function isRecordName(name: string): boolean {
  return name === MANIFEST_FILE || RECEIPT_NAME.test(name);
}
