import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { DestinationSettings } from '../../core/destination-settings.ts';
import { isKey, type Destination, type ListedObject } from '../../core/destination.ts';
import { rateOf, type Rate } from '../rate.ts';
import { inDirectory } from './failures.ts';
import { removeBelow } from './files.ts';
import { isInUse, prepareToWrite, type DirectoryRoot } from './mounted.ts';
import {
  foldersBelow,
  listBelow,
  listPartials,
  openRange,
  partialFolder,
  readWhole,
  statObject,
} from './objects.ts';
import { putFileInto, putInto, removeFrom } from './writes.ts';

/**
 * A directory on another disk. It mirrors the keys as paths, so none can be the beginning of another one that goes on
 * with `/`. What is ours alone is in `.backupd`: the mark by which a disk is known to be mounted, what is not finished, and
 * the SHA-256 of what is.
 */
export function directoryDestination(
  settings: DestinationSettings,
  root: DirectoryRoot,
): Destination {
  return {
    name: root.name,
    kind: 'directory',
    place: root.path,
    lifecycle: null,
    inspect: async (signal) =>
      inDirectory(root, signal, async () => {
        await isInUse(root);
        return {
          region: null,
          isOffsite: settings.isOffsite ?? false,
          keepsVersions: false,
          locksObjects: false,
          clockAheadMs: null,
        };
      }),
    ...readers(root),
    ...writers(root, settings.rateBytes === null ? null : rateOf(settings.rateBytes)),
  };
}

/** Also where the mark is not there and was never: who brings a copy of the disk may have left it behind. */
async function reading<T>(
  root: DirectoryRoot,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  return inDirectory(root, signal, async () => {
    await isInUse(root);
    return work();
  });
}

async function writing<T>(
  root: DirectoryRoot,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  return inDirectory(root, signal, async () => {
    await prepareToWrite(root);
    return work();
  });
}

type Readers = Pick<
  Destination,
  'listFolders' | 'list' | 'listVersions' | 'listUploads' | 'head' | 'get' | 'read' | 'retrieve'
>;

function readers(root: DirectoryRoot): Readers {
  const { path } = root;

  async function* list(prefix: string, signal: AbortSignal): AsyncGenerator<ListedObject> {
    yield* within(root, signal, () => listBelow(path, prefix));
  }

  return {
    listFolders: async (prefix, signal) =>
      reading(root, signal, async () => foldersBelow(path, prefix)),
    list,
    async *listVersions(prefix, signal) {
      for await (const object of list(prefix, signal)) {
        yield { ...object, versionId: null, isLatest: true, isDeleteMarker: false };
      }
    },
    async *listUploads(prefix, signal) {
      yield* within(root, signal, () => listPartials(path, prefix));
    },
    async head(key, _versionId, signal) {
      checkKey(key);
      return reading(root, signal, async () => statObject(path, key));
    },
    async get(key, _versionId, signal) {
      checkKey(key);
      return reading(root, signal, async () => readWhole(root, key));
    },
    async read(object, range, signal) {
      checkKey(object.key);
      const pieces = await reading(root, signal, async () => openRange(root, object, range));
      return Readable.from(
        within(root, signal, () => pieces),
        { objectMode: false },
      );
    },
    retrieve,
  };
}

/** What is here is not archived. */
async function retrieve(): Promise<'readable'> {
  return Promise.resolve('readable');
}

type Writers = Pick<Destination, 'putFile' | 'put' | 'remove' | 'abortUpload'>;

function writers(root: DirectoryRoot, rate: Rate | null): Writers {
  const { path } = root;
  return {
    async putFile(key, file, { wrongEtag, onProgress }, signal) {
      checkKey(key);
      return writing(root, signal, async () =>
        putFileInto(root, { key, file, rate, wrongEtag, onProgress }, signal),
      );
    },
    async put(key, bytes, how, signal) {
      checkKey(key);
      return writing(root, signal, async () => putInto(root, { key, bytes }, how));
    },
    async remove(key, _versionId, signal) {
      checkKey(key);
      await reading(root, signal, async () => removeFrom(root, key));
      return { outcome: 'removed' };
    },
    async abortUpload({ key, uploadId }, signal) {
      checkKey(key);
      await reading(root, signal, async () =>
        removeBelow(path, join(partialFolder(path, key), uploadId)),
      );
    },
  };
}

/** What is made piece by piece, with the errors of this destination. */
async function* within<T>(
  root: DirectoryRoot,
  signal: AbortSignal,
  make: () => AsyncGenerator<T>,
): AsyncGenerator<T> {
  await inDirectory(root, signal, async () => isInUse(root));
  const made = make();
  try {
    for (;;) {
      const next = await inDirectory(root, signal, async () => made.next());
      if (next.done === true) {
        return;
      }
      yield next.value;
    }
  } finally {
    await made.return(undefined);
  }
}

function checkKey(key: string): void {
  if (!isKey(key)) {
    throw new Error(`${JSON.stringify(key)} can be no key`);
  }
}
