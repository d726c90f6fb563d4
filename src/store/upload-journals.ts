import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import type { UploadJournal, UploadState } from '../core/destination.ts';
import { readJson, removeFile } from './atomic-file.ts';
import { readStates, statePath, writeState } from './state-file.ts';

/**
 * Where the upload of one object is written down, below `uploads/<destination>/`. The file is named by a digest of the
 * key: a key may be longer than a name can be.
 */
export function uploadJournal(dir: string, destination: string, key: string): UploadJournal {
  const name = [destination, createHash('sha256').update(key).digest('hex').slice(0, 32)];
  const path = statePath(dir, 'uploads', ...name);
  return {
    async read() {
      // What cannot be read is as good as nothing: the upload begins anew.
      const stored = await readJson(path);
      return stored.state === 'present' && isUploadState(stored.value) && stored.value.key === key
        ? stored.value
        : null;
    },
    write: (state) => writeState(dir, { kind: 'uploads', name }, state),
    clear: () => removeFile(path),
  };
}

/** Every upload to a destination that was begun from here and is not done. */
export async function readUploads(
  dir: string,
  destination: string,
): Promise<readonly UploadState[]> {
  const values = await readStates(dirname(statePath(dir, 'uploads', destination, 'any')));
  return values.filter((value) => isUploadState(value));
}

function isUploadState(value: unknown): value is UploadState {
  const { key, uploadId, partBytes, bytes, sha256, etags } = (value ?? {}) as Partial<UploadState>;
  return (
    typeof key === 'string' &&
    typeof uploadId === 'string' &&
    typeof partBytes === 'number' &&
    typeof bytes === 'number' &&
    typeof sha256 === 'string' &&
    typeof etags === 'object' &&
    etags !== null
  );
}
