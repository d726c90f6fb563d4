import { open, readdir, readFile, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type {
  ByteRange,
  ListedObject,
  ObjectFacts,
  UnfinishedUpload,
} from '../../core/destination.ts';
import { BackupdError } from '../../core/errors.ts';
import { checkWhole } from '../damage.ts';
import { exactly } from '../exactly.ts';
import { hasErrorCode } from '../../core/system-error.ts';
import { ownFolder } from './files.ts';

/** Objects that are read whole are no larger. */
const LARGEST_WHOLE_BYTES = 64 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;

/** What is recorded of an object beside it; true of it as long as size and time are these. */
export interface ObjectRecord {
  readonly sha256: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

export function objectPath(root: string, key: string): string {
  return join(root, key);
}

export function recordPath(root: string, key: string): string {
  return ownFolder(root, 'sums', key);
}

/** Where the parts of unfinished objects of this key are. */
export function partialFolder(root: string, key: string): string {
  return ownFolder(root, 'partial', key);
}

/** What is known of an object; null where there is none. */
export async function statObject(root: string, key: string): Promise<ObjectFacts | null> {
  const listed = await statListed(objectPath(root, key), key);
  if (listed === null) {
    return null;
  }
  const record = await readRecord(root, key);
  const isTrue =
    record?.bytes === listed.bytes && record.modifiedMs === Date.parse(listed.modifiedAt);
  return {
    ...listed,
    versionId: null,
    sha256: isTrue ? record.sha256 : null,
    storageClass: null,
    retrieval: 'readable',
    lockedUntil: null,
  };
}

async function statListed(path: string, key: string): Promise<ListedObject | null> {
  try {
    const found = await stat(path);
    return found.isFile() ? listedOf(key, found) : null;
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) {
      return null;
    }
    throw error;
  }
}

function listedOf(
  key: string,
  { size, mtimeMs }: { readonly size: number; readonly mtimeMs: number },
): ListedObject {
  const modifiedMs = Math.floor(mtimeMs);
  return {
    key,
    bytes: size,
    etag: `${modifiedMs}-${size}`,
    modifiedAt: new Date(modifiedMs).toISOString(),
  };
}

async function readRecord(root: string, key: string): Promise<ObjectRecord | null> {
  try {
    const value = JSON.parse(await readFile(recordPath(root, key), 'utf8')) as ObjectRecord;
    return typeof value.sha256 === 'string' ? value : null;
  } catch (error) {
    // A damaged one says as little as none.
    if (error instanceof SyntaxError || hasErrorCode(error, 'ENOENT', 'ENOTDIR')) {
      return null;
    }
    throw error;
  }
}

/** A small object whole; null where there is none. */
export async function readWhole(
  root: { readonly name: string; readonly path: string },
  key: string,
): Promise<Buffer | null> {
  const listed = await statObject(root.path, key);
  if (listed === null) {
    return null;
  }
  if (listed.bytes > LARGEST_WHOLE_BYTES) {
    throw new BackupdError(
      'destination-unavailable',
      `destination "${root.name}": ${key} has ${listed.bytes} bytes, which no record of backupd has`,
      { hint: 'Something else wrote it. Look at what it is.' },
    );
  }
  try {
    const bytes = await readFile(objectPath(root.path, key));
    if ((await statObject(root.path, key))?.etag !== listed.etag) {
      // It was replaced in between.
      return await readWhole(root, key);
    }
    checkWhole(root.name, listed, bytes);
    return bytes;
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) {
      return null;
    }
    throw error;
  }
}

/** A range of an object as it was when it was looked at. */
export async function openRange(
  root: { readonly name: string; readonly path: string },
  object: Pick<ObjectFacts, 'key' | 'etag'>,
  { from, bytes }: ByteRange,
): Promise<AsyncGenerator<Buffer>> {
  const handle = await open(objectPath(root.path, object.key), 'r');
  try {
    const now = listedOf(object.key, await handle.stat());
    if (now.etag !== object.etag) {
      throw new BackupdError(
        'destination-unavailable',
        `destination "${root.name}": ${object.key} was replaced while it was read`,
        { hint: 'Run it again. Nothing of backupd replaces what it has put.' },
      );
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  return readRange(handle, from, bytes);
}

async function* readRange(handle: FileHandle, from: number, bytes: number): AsyncGenerator<Buffer> {
  await using _open = handle;
  if (bytes > 0) {
    const end = from + bytes - 1;
    const stream = handle.createReadStream({
      start: from,
      end,
      autoClose: false,
      highWaterMark: READ_BYTES,
    });
    yield* exactly(stream, bytes);
  }
}

/** All objects whose keys begin with this, by key. */
export async function* listBelow(root: string, prefix: string): AsyncGenerator<ListedObject> {
  for await (const key of filesBelow(root, prefix)) {
    // What was removed meanwhile is not there.
    const listed = await statListed(objectPath(root, key), key);
    if (listed !== null) {
      yield listed;
    }
  }
}

/** The names of the folders directly below a prefix in which there is a file. */
export async function foldersBelow(root: string, prefix: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { name, isFolder } of await entriesOf(join(root, prefix))) {
    if (isFolder && !(prefix === '' && isNoKey(name))) {
      const { done } = await filesBelow(root, `${prefix}${name}/`).next();
      if (done !== true) {
        found.push(name);
      }
    }
  }
  return found;
}

/** What was begun and not finished. */
export async function* listPartials(
  root: string,
  prefix: string,
): AsyncGenerator<UnfinishedUpload> {
  const partials = ownFolder(root, 'partial');
  for await (const name of filesBelow(partials, prefix)) {
    const listed = await statListed(join(partials, name), name);
    if (listed !== null) {
      const key = dirname(name);
      yield { key, uploadId: name.slice(key.length + 1), beganAt: listed.modifiedAt };
    }
  }
}

/** Names of files below a folder that begin with this, with `/` between their parts; what is ours alone is left out. */
async function* filesBelow(root: string, prefix: string): AsyncGenerator<string> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  for (const { name, isFolder } of await entriesOf(join(root, folder))) {
    const path = `${folder}${name}`;
    if (!path.startsWith(prefix) || (folder === '' && isNoKey(name))) {
      continue;
    }
    if (isFolder) {
      yield* filesBelow(root, `${path}/`);
    } else {
      yield path;
    }
  }
}

/** What is in the way of keys at the top of a disk. */
function isNoKey(name: string): boolean {
  return name.startsWith('.') || name === 'lost+found';
}

async function entriesOf(
  folder: string,
): Promise<readonly { readonly name: string; readonly isFolder: boolean }[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() || entry.isDirectory())
      .map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }))
      .toSorted((one, other) => (one.name < other.name ? -1 : 1));
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) {
      return [];
    }
    throw error;
  }
}
