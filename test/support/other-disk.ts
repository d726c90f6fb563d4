import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DestinationSettings } from '../../src/core/destination-settings.ts';

/** A folder on another file system than that of temporary folders. */
export interface OtherDisk extends AsyncDisposable {
  readonly path: string;
  /** A destination that is this folder, as it would be configured. */
  settings(changes?: Partial<DestinationSettings>): DestinationSettings;
}

export async function otherDisk(): Promise<OtherDisk> {
  const path = await mkdtemp(join('/dev/shm', 'backupd-test-'));
  return {
    path,
    settings: (changes = {}) => ({
      name: 'nas',
      place: { kind: 'directory', path },
      schedule: { patterns: [], timezone: 'UTC', catchUpMs: 0 },
      keep: null,
      rateBytes: null,
      isOffsite: null,
      allowedRegions: null,
      ...changes,
    }),
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true });
    },
  };
}
