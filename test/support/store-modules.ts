/** What `store-process.ts` loads after it began to watch the file system. */
import { lockPlace, lookAtLock, rewriteLock as rewrite } from '../../src/store/lock-file.ts';

export { writeArchive } from '../../src/archive/write-archive.ts';
export { toFailure } from '../../src/core/errors.ts';
export { journal } from '../../src/store/journal.ts';
export { acquireLock } from '../../src/store/lock.ts';
export { openCatalog } from '../../src/store/catalog.ts';
export { openStorage } from '../../src/store/storage.ts';

/** Makes the record of a lock say that its holder is a process that is no more. */
export async function rewriteLock(dir: string, source: string): Promise<void> {
  const place = lockPlace(dir, 'source', source);
  const { generation, holder } = await lookAtLock(place);
  if (holder === null) {
    throw new Error('nobody holds the lock');
  }
  await rewrite(place, generation, { ...holder, startTicks: '1' });
}
