/** Fills the disk under a directory of backups and tells what still works: `node full-disk.ts DIR`. One line of JSON. */
import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toFailure } from '../../src/core/errors.ts';
import { pruneAfterBackup } from '../../src/jobs/prune.ts';
import { readAttempts } from '../../src/store/attempts.ts';
import { openCatalog } from '../../src/store/catalog.ts';
import { readScheduleState, writeScheduleState } from '../../src/store/schedule-state.ts';
import { openStorage } from '../../src/store/storage.ts';
import { backupId, commitBackup, NO_KEYS, NO_NEIGHBOURS, sampleJob } from './storage.ts';

const [, , dir = ''] = process.argv;
const SCHEDULE_STATE = {
  firstSeenAt: '2026-01-01T00:00:00.000Z',
  handledUntil: '2026-01-01T00:00:00.000Z',
};
const signal = new AbortController().signal;
const storage = await openStorage(dir, {
  namespace: 'demo',
  fallbackNamespace: () => Promise.resolve('demo'),
  access: 'write',
});
const catalog = openCatalog(storage);
const context = {
  storage,
  catalog,
  destinations: [],
  neighbours: NO_NEIGHBOURS,
  keys: NO_KEYS,
  emit: () => {},
  backupdVersion: '0.0.0',
  command: 'test',
};

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'done';
  } catch (error) {
    return toFailure(error).code;
  }
}

async function fill(): Promise<void> {
  await using file = await open(join(dir, 'filler'), 'a');
  for (const size of [65_536, 4096, 1]) {
    while ((await codeOf(() => file.write(Buffer.alloc(size)))) === 'done') {
      // Until nothing goes in any more.
    }
  }
}

for (const number of [1, 2, 3, 4]) {
  await commitBackup(catalog, { id: backupId(number) });
}
await writeScheduleState(dir, 'db', { ...SCHEDULE_STATE, handledUntil: null });
await fill();
// Without an archive it is the manifest that finds no space.
const commit = await codeOf(() => commitBackup(catalog, { id: backupId(5), files: [] }));
const record = await codeOf(() => writeScheduleState(dir, 'db', SCHEDULE_STATE));
const namesWhenFull = (await readdir(join(dir, 'db'))).toSorted();
const { backups, failures } = await pruneAfterBackup(sampleJob(), context, signal);
await rm(join(dir, 'filler'));
const next = await codeOf(() => commitBackup(catalog, { id: backupId(6) }));
process.stdout.write(
  `${JSON.stringify({
    commit,
    record,
    namesWhenFull,
    removed: backups.filter((backup) => backup.removed).map(({ id }) => id),
    failures,
    removedTotal: (await readAttempts(dir, 'db')).removedTotal,
    next,
    names: (await readdir(join(dir, 'db'))).toSorted(),
    handledUntil: (await readScheduleState(dir, 'db'))?.handledUntil,
    state: await readdir(join(dir, '.backupd', 'schedule')),
  })}\n`,
);
