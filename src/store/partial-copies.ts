import { dirname } from 'node:path';
import { isBackupId, isSourceName, type BackupId } from '../core/layout.ts';
import { removeFile } from './atomic-file.ts';
import { readStates, statePath, writeState } from './state-file.ts';

/**
 * A copy of which a destination may have a part: written before the first object is put or removed there, and gone when
 * all of them are. By it alone is known what of such a copy is ours.
 */
export interface PartialCopy {
  readonly source: string;
  readonly id: BackupId;
  readonly step: 'sending' | 'removing';
  /** Names of its archives. */
  readonly files: readonly string[];
}

type CopyRef = Pick<PartialCopy, 'source' | 'id'>;

/** Notes what is about to be sent or removed. @throws BackupdError `no-space`, `storage-unavailable` */
export async function recordPartialCopy(
  dir: string,
  destination: string,
  copy: PartialCopy,
): Promise<void> {
  await writeState(dir, { kind: 'copies', name: nameOf(destination, copy) }, copy);
}

/** Notes that all of it is there, or gone. */
export async function removePartialCopy(
  dir: string,
  destination: string,
  copy: CopyRef,
): Promise<void> {
  await removeFile(statePath(dir, 'copies', ...nameOf(destination, copy)));
}

/** Those that an earlier run left; damaged records are reported by the catalog. */
export async function readPartialCopies(
  dir: string,
  destination: string,
): Promise<readonly PartialCopy[]> {
  const values = await readStates(dirname(statePath(dir, 'copies', destination, 'any')));
  return values.filter((value) => isPartialCopy(value));
}

function nameOf(destination: string, { source, id }: CopyRef): readonly string[] {
  return [destination, `${source}~${id}`];
}

function isPartialCopy(value: unknown): value is PartialCopy {
  const { source, id, step, files } = (value ?? {}) as Partial<PartialCopy>;
  return (
    typeof source === 'string' &&
    isSourceName(source) &&
    typeof id === 'string' &&
    isBackupId(id) &&
    (step === 'sending' || step === 'removing') &&
    Array.isArray(files) &&
    files.every((file) => typeof file === 'string')
  );
}
