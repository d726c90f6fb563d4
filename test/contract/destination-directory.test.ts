import { tmpdir } from 'node:os';
import { openDestination } from '../../src/destinations/open.ts';
import { otherDisk } from '../support/other-disk.ts';
import { testMemory } from '../support/uploads.ts';
import { describeDestination } from './destination-contract.ts';

describeDestination('a directory', async () => {
  const disk = await otherDisk();
  const memory = testMemory();
  return {
    open: async () => openDestination(disk.settings(), { backupsDir: tmpdir(), memory }),
    what: { listsUploadsByPrefix: true, keepsVersions: false },
    [Symbol.asyncDispose]: async () => disk[Symbol.asyncDispose](),
  };
});
