import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { backupId } from '../../support/storage.ts';

const run = promisify(execFile);
const repository = join(import.meta.dirname, '../../..');

test('a full disk takes no backup, leaves no debris, and can be pruned', async () => {
  const options =
    '--rm --label backupd-test=1 --network none --tmpfs /backups:size=1m --entrypoint node';
  const { stdout } = await run('docker', [
    'run',
    ...options.split(' '),
    '--volume',
    `${repository}:/repository:ro`,
    'node:24-trixie-slim',
    '/repository/test/support/full-disk.ts',
    '/backups',
  ]);
  expect(JSON.parse(stdout)).toEqual({
    commit: 'no-space',
    record: 'no-space',
    namesWhenFull: [1, 2, 3, 4].map((number) => backupId(number)),
    removed: [backupId(1)],
    failures: [],
    removedTotal: 1,
    next: 'done',
    names: [2, 3, 4, 6].map((number) => backupId(number)),
    handledUntil: null,
    state: ['db.json'],
  });
});
