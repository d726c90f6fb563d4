import type { Destination, ListedVersion } from '../../src/core/destination.ts';
import { BackupdError } from '../../src/core/errors.ts';
import { checkKey, find, listed, type Store, type Version } from './memory-store.ts';
import { readPieces } from './read-pieces.ts';

export function lister(
  store: Store,
): Pick<Destination, 'list' | 'listVersions' | 'listFolders' | 'listUploads'> {
  function versionsBelow(prefix: string): readonly ListedVersion[] {
    return [...store.versions]
      .filter(([key]) => key.startsWith(prefix))
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .flatMap(([key, versions]) => versions.map((version) => listed(store, key, version)));
  }
  return {
    async *list(prefix, signal) {
      await store.ask('list', prefix, signal);
      for (const { isLatest, isDeleteMarker, ...object } of versionsBelow(prefix)) {
        if (isLatest && !isDeleteMarker) {
          const { versionId: _versionId, ...shown } = object;
          yield shown;
        }
      }
    },
    async *listVersions(prefix, signal) {
      await store.ask('listVersions', prefix, signal);
      yield* versionsBelow(prefix);
    },
    async listFolders(prefix, signal) {
      await store.ask('list', prefix, signal);
      const names = versionsBelow(prefix)
        .map(({ key }) => key.slice(prefix.length).split('/'))
        .flatMap(([name = '', ...below]) => (below.length > 0 ? [name] : []));
      return [...new Set(names)];
    },
    async *listUploads(prefix, signal) {
      await store.ask('listUploads', prefix, signal);
      for (const [uploadId, { key, beganAt }] of store.uploads) {
        if (store.listsUploadsOfKeysOnly ? key === prefix : key.startsWith(prefix)) {
          yield { key, uploadId, beganAt };
        }
      }
    },
  };
}

export function reader(store: Store): Pick<Destination, 'head' | 'get' | 'read' | 'retrieve'> {
  return {
    async head(key, versionId, signal) {
      await store.ask('head', key, signal);
      const version = find(store, key, versionId);
      return version === null
        ? null
        : {
            ...listed(store, key, version),
            sha256: version.sha256,
            storageClass: null,
            retrieval: version.retrieval,
            lockedUntil: version.lockedUntil,
          };
    },
    async get(key, versionId, signal) {
      checkKey(key);
      await store.ask('get', key, signal);
      const version = find(store, key, versionId);
      return version === null ? null : readable(key, version);
    },
    async read(object, { from, bytes }, signal) {
      await store.ask('read', object.key, signal);
      const version = find(store, object.key, object.versionId);
      if (version === null || version.etag !== object.etag) {
        throw new BackupdError('destination-unavailable', `${object.key} was replaced meanwhile`);
      }
      const wanted = readable(object.key, version).subarray(from, from + bytes);
      return readPieces(wanted, signal);
    },
    async retrieve({ key, versionId }, _how, signal) {
      await store.ask('retrieve', key, signal);
      const version = find(store, key, versionId);
      if (version === null || version.retrieval === 'readable') {
        return 'readable';
      }
      version.retrieval = 'returning';
      return 'returning';
    },
  };
}

function readable(key: string, { retrieval, bytes }: Version): Buffer {
  if (retrieval !== 'readable') {
    throw new BackupdError('retrieval-pending', `${key} is archived`);
  }
  return bytes;
}
