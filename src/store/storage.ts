import { randomBytes } from 'node:crypto';
import { access, constants, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupdError } from '../core/errors.ts';
import { isBackupId, isSourceName, MANIFEST_FILE, STATE_FOLDER } from '../core/layout.ts';
import { parseManifest } from '../core/manifest.ts';
import { isSystemError } from '../core/system-error.ts';
import { ensureFolder, readText, writeFileAtomically } from './atomic-file.ts';
import { acquireStateLock } from './lock.ts';
import { readFolderNames } from './folder.ts';
import { onStorage } from './storage-error.ts';

export interface StorageOptions {
  /** As configured; null: as recorded. */
  readonly namespace: string | null;
  /** Asked only where nothing is configured and nothing recorded. */
  readonly fallbackNamespace: () => Promise<string>;
  /** `read` creates nothing and works on a read-only mount. */
  readonly access: 'read' | 'write';
}

/** The directory with the backups. */
export interface Storage {
  readonly dir: string;
  /** 16 hex digits, made once for each directory; empty where nothing was ever written to it. */
  readonly identity: string;
  /** Whose backups these are. */
  readonly namespace: string;
  /** @throws BackupdError `storage-unavailable` */
  space(): Promise<{ readonly freeBytes: number; readonly sizeBytes: number }>;
}

/**
 * Opens the directory with the backups; writing records its identity and namespace at the first time.
 * @throws BackupdError `storage-unavailable` where it is not there, or not readable (or writable), `config-invalid`
 * where another namespace is configured than the one it has
 */
export async function openStorage(dir: string, options: StorageOptions): Promise<Storage> {
  const records = await onStorage(dir, async () => {
    await readdir(dir);
    if (options.access === 'read') {
      return readRecords(dir, options);
    }
    await access(dir, constants.W_OK | constants.X_OK);
    await ensureFolder(join(dir, STATE_FOLDER));
    await access(join(dir, STATE_FOLDER), constants.W_OK | constants.X_OK);
    return makeRecords(dir, options);
  });
  return { dir, ...records, space: () => readSpace(dir) };
}

interface Records {
  readonly identity: string;
  readonly namespace: string;
}

/** Empty where it was never recorded. */
async function readRecord(dir: string, name: 'identity' | 'namespace'): Promise<string> {
  return (await readText(join(dir, STATE_FOLDER, name)))?.trim() ?? '';
}

async function readRecords(dir: string, options: StorageOptions): Promise<Records> {
  const identity = await readRecord(dir, 'identity');
  const recorded = await readRecord(dir, 'namespace');
  // One that is damaged is as good as lost.
  const found = isSourceName(recorded) ? recorded : await findNamespace(dir);
  const { namespace, fallbackNamespace } = options;
  if (found !== null && namespace !== null && namespace !== found) {
    throw new BackupdError(
      'config-invalid',
      `${dir} has the namespace "${found}", BACKUPD_NAMESPACE is "${namespace}"`,
      {
        hint: `Remove BACKUPD_NAMESPACE or set it to "${found}"; backups of another namespace need a directory of their own.`,
      },
    );
  }
  return { identity, namespace: found ?? namespace ?? (await fallbackNamespace()) };
}

/** Two processes that come to an empty directory at once must agree, so the records are made under a lock. */
async function makeRecords(dir: string, options: StorageOptions): Promise<Records> {
  const there = await readRecords(dir, options);
  if (there.identity !== '' && isSourceName(await readRecord(dir, 'namespace'))) {
    return there;
  }
  await using _lock = await acquireStateLock(dir, 'identity');
  const { identity, namespace } = await readRecords(dir, options);
  const records = { identity: identity || randomBytes(8).toString('hex'), namespace };
  await writeFileAtomically(join(dir, STATE_FOLDER, 'namespace'), `${records.namespace}\n`);
  await writeFileAtomically(join(dir, STATE_FOLDER, 'identity'), `${records.identity}\n`);
  return records;
}

/** The namespace of backups that were copied here without our own state; null where they have none in common. */
async function findNamespace(dir: string): Promise<string | null> {
  const found = new Set<string>();
  for (const source of (await readFolderNames(dir)).filter(isSourceName)) {
    const text = await readNewestManifest(join(dir, source));
    if (text !== null) {
      found.add(namespaceOf(text));
    }
  }
  found.delete('');
  const [only, another] = found;
  return another === undefined ? (only ?? null) : null;
}

/** Null where there is none. What cannot be read says nothing here; the catalog reports it. */
async function readNewestManifest(folder: string): Promise<string | null> {
  try {
    const ids = (await readFolderNames(folder)).filter(isBackupId);
    const newest = ids.toSorted().at(-1);
    return newest === undefined ? null : await readText(join(folder, newest, MANIFEST_FILE));
  } catch (error) {
    if (isSystemError(error) || error instanceof BackupdError) {
      return null;
    }
    throw error;
  }
}

function namespaceOf(manifest: string): string {
  try {
    return parseManifest(manifest, 'a backup').namespace;
  } catch {
    // A damaged or newer one says nothing here; the catalog reports it.
    return '';
  }
}

async function readSpace(dir: string): Promise<{ freeBytes: number; sizeBytes: number }> {
  return onStorage(dir, async () => {
    const { bavail, blocks, bsize } = await statfs(dir);
    return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
  });
}
