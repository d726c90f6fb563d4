import type { DestinationMemory } from '../core/destination.ts';
import { NO_UPLOADS, type UploadRecord } from '../core/upload-record.ts';
import { readJson } from './atomic-file.ts';
import { acquireStateLock } from './lock.ts';
import { statePath, writeState } from './state-file.ts';

/** What is remembered of a destination; nothing where it is missing or damaged, which the catalog reports. */
export async function readUploadRecord(dir: string, destination: string): Promise<UploadRecord> {
  const stored = await readJson(statePath(dir, 'destinations', destination));
  return stored.state === 'present' && isRecord(stored.value)
    ? { ...NO_UPLOADS, ...stored.value }
    : NO_UPLOADS;
}

/** Changes what is remembered; several processes may at once. @throws BackupdError `no-space`, `storage-unavailable` */
export async function changeUploadRecord(
  dir: string,
  destination: string,
  step: (record: UploadRecord) => UploadRecord,
): Promise<void> {
  await using _lock = await acquireStateLock(dir, `destination-${destination}`);
  const record = await readUploadRecord(dir, destination);
  await writeState(dir, { kind: 'destinations', name: [destination] }, step(record));
}

/** What a directory has to know of its own past, kept in the record. */
export function destinationMemory(dir: string, destination: string): DestinationMemory {
  return {
    wasUsed: async () => (await readUploadRecord(dir, destination)).used,
    async noteUse() {
      if (!(await readUploadRecord(dir, destination)).used) {
        await changeUploadRecord(dir, destination, (record) => ({ ...record, used: true }));
      }
    },
  };
}

function isRecord(value: unknown): value is Partial<UploadRecord> {
  const { failedInRow, bytesTotal } = (value ?? {}) as Partial<UploadRecord>;
  return typeof failedInRow === 'number' && typeof bytesTotal === 'number';
}
